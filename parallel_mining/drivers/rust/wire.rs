// The wire form of `parallel_mining.values`, as traits of the types that functions take and return, and the loop that
// calls one program on the cases of a task file. See `supervisor` for the protocol.
//
// Borrowed arguments are leaked: the process makes a few calls and ends, and a leak lives as long as any lifetime asks.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::{Debug, Write as _};
use std::hash::{BuildHasher, Hash};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::io::FromRawFd;
use std::rc::Rc;
use std::sync::Arc;

pub struct Refused(pub String);

pub enum Node {
    Null,
    Bool(bool),
    Int(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Items(char, Vec<Node>),
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap_or(0)).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(out, "{:02x}", byte);
    }
    out
}

pub fn read(wire: &str, at: &mut usize) -> Result<Node, Refused> {
    let tag = wire.as_bytes()[*at] as char;
    *at += 1;
    let closing = match tag {
        'n' => return Ok(Node::Null),
        't' | 'f' => return Ok(Node::Bool(tag == 't')),
        '[' => ']',
        '(' => ')',
        '<' => '>',
        '{' => '}',
        _ => ';',
    };
    if closing != ';' {
        let mut items = Vec::new();
        while wire.as_bytes()[*at] as char != closing {
            items.push(read(wire, at)?);
        }
        *at += 1;
        return Ok(Node::Items(tag, items));
    }
    let end = *at + wire[*at..].find(';').unwrap_or(0);
    let body = &wire[*at..end];
    *at = end + 1;
    match tag {
        'i' => Ok(Node::Int(body.to_string())),
        'd' | 'm' => Ok(Node::Float(f64::from_bits(u64::from_str_radix(body, 16).unwrap_or(0)))),
        's' | 'c' => Ok(Node::Text(String::from_utf8_lossy(&unhex(body)).into_owned())),
        'b' => Ok(Node::Bytes(unhex(body))),
        _ => Err(Refused(format!("an argument of kind {}", tag))),
    }
}

pub trait FromWire: Sized {
    fn from_wire(node: &Node) -> Result<Self, Refused>;

    // Text and bytes are lists for some items only.
    fn many(node: &Node) -> Result<Vec<Self>, Refused> {
        match node {
            Node::Items('[', items) | Node::Items('(', items) | Node::Items('<', items) => {
                items.iter().map(Self::from_wire).collect()
            }
            _ => Err(Refused("not a list".into())),
        }
    }
}

fn pairs<K: FromWire, V: FromWire>(node: &Node) -> Result<Vec<(K, V)>, Refused> {
    match node {
        Node::Items('{', flat) => {
            flat.chunks(2).map(|pair| Ok((K::from_wire(&pair[0])?, V::from_wire(&pair[1])?))).collect()
        }
        _ => Err(Refused("not a dict".into())),
    }
}

macro_rules! ints {
    ($($t:ident)*) => {$(
        impl FromWire for $t {
            fn from_wire(node: &Node) -> Result<Self, Refused> {
                match node {
                    Node::Int(digits) => {
                        digits.parse().map_err(|_| Refused(format!("{} does not fit {}", digits, stringify!($t))))
                    }
                    _ => Err(Refused(concat!("not an int for ", stringify!($t)).into())),
                }
            }
        }
        impl ToWire for $t {
            fn to_wire(&self, out: &mut String) {
                let (sign, bits) = (if <$t>::MIN == 0 { 'u' } else { 'i' }, <$t>::BITS);
                let _ = write!(out, "{}{}:{};", sign, bits, self);
            }
        }
    )*};
}
ints!(i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize);

impl FromWire for u8 {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Int(digits) => digits.parse().map_err(|_| Refused(format!("{} does not fit u8", digits))),
            Node::Text(text) if text.len() == 1 => Ok(text.as_bytes()[0]),
            _ => Err(Refused("not an int for u8".into())),
        }
    }
    fn many(node: &Node) -> Result<Vec<Self>, Refused> {
        match node {
            Node::Bytes(bytes) => Ok(bytes.clone()),
            Node::Text(text) => Ok(text.clone().into_bytes()),
            Node::Items(_, items) => items.iter().map(Self::from_wire).collect(),
            _ => Err(Refused("not bytes".into())),
        }
    }
}

impl FromWire for char {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Text(text) if text.chars().count() == 1 => Ok(text.chars().next().unwrap_or(' ')),
            _ => Err(Refused("not one character".into())),
        }
    }
    fn many(node: &Node) -> Result<Vec<Self>, Refused> {
        match node {
            Node::Text(text) => Ok(text.chars().collect()),
            Node::Items(_, items) => items.iter().map(Self::from_wire).collect(),
            _ => Err(Refused("not characters".into())),
        }
    }
}

impl FromWire for bool {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Bool(value) => Ok(*value),
            _ => Err(Refused("not a bool".into())),
        }
    }
}

impl FromWire for f64 {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Float(value) => Ok(*value),
            Node::Int(digits) => digits.parse().map_err(|_| Refused("not a float".into())),
            _ => Err(Refused("not a float".into())),
        }
    }
}

impl FromWire for f32 {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        f64::from_wire(node).map(|value| value as f32)
    }
}

impl FromWire for String {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(Refused("not text".into())),
        }
    }
}

impl FromWire for () {
    fn from_wire(_: &Node) -> Result<Self, Refused> {
        Ok(())
    }
}

impl<T: FromWire> FromWire for Option<T> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        match node {
            Node::Null => Ok(None),
            _ => T::from_wire(node).map(Some),
        }
    }
}

impl<T: FromWire> FromWire for Vec<T> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        T::many(node)
    }
}

impl<T: FromWire> FromWire for std::vec::IntoIter<T> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Vec::from_wire(node).map(Vec::into_iter)
    }
}

impl<T: FromWire, const N: usize> FromWire for [T; N] {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        T::many(node)?.try_into().map_err(|_| Refused(format!("not a list of {}", N)))
    }
}

macro_rules! collected {
    ($($t:ident: $($bound:path),*;)*) => {$(
        impl<T: FromWire $(+ $bound)*> FromWire for $t<T> {
            fn from_wire(node: &Node) -> Result<Self, Refused> {
                Ok(T::many(node)?.into_iter().collect())
            }
        }
    )*};
}
collected! { VecDeque:; LinkedList:; BTreeSet: Ord; BinaryHeap: Ord; }

impl<T: FromWire + Eq + Hash, S: BuildHasher + Default> FromWire for HashSet<T, S> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(T::many(node)?.into_iter().collect())
    }
}

impl<K: FromWire + Eq + Hash, V: FromWire, S: BuildHasher + Default> FromWire for HashMap<K, V, S> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(pairs(node)?.into_iter().collect())
    }
}

impl<K: FromWire + Ord, V: FromWire> FromWire for BTreeMap<K, V> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(pairs(node)?.into_iter().collect())
    }
}

macro_rules! boxed {
    ($($t:ident)*) => {$(
        impl<T: FromWire> FromWire for $t<T> {
            fn from_wire(node: &Node) -> Result<Self, Refused> {
                T::from_wire(node).map($t::new)
            }
        }
        impl<T: ToWire + ?Sized> ToWire for $t<T> {
            fn to_wire(&self, out: &mut String) {
                (**self).to_wire(out)
            }
        }
    )*};
}
boxed!(Box Rc Arc);

impl<T: FromWire> FromWire for &'static T {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(Box::leak(Box::new(T::from_wire(node)?)))
    }
}
impl<T: FromWire> FromWire for &'static mut T {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(Box::leak(Box::new(T::from_wire(node)?)))
    }
}
impl<T: FromWire> FromWire for &'static [T] {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(T::many(node)?.leak())
    }
}
impl<T: FromWire> FromWire for &'static mut [T] {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(T::many(node)?.leak())
    }
}
impl FromWire for &'static str {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        Ok(Box::leak(String::from_wire(node)?.into_boxed_str()))
    }
}
impl FromWire for Cow<'static, str> {
    fn from_wire(node: &Node) -> Result<Self, Refused> {
        String::from_wire(node).map(Cow::Owned)
    }
}

pub trait ToWire {
    fn to_wire(&self, out: &mut String);

    // What a whole result comes to: an error is an exception.
    fn outcome(&self) -> String {
        let mut out = String::from("v ");
        self.to_wire(&mut out);
        out
    }

    fn slice(items: &[Self], out: &mut String)
    where
        Self: Sized,
    {
        out.push('[');
        for item in items {
            item.to_wire(out);
        }
        out.push(']');
    }
}

impl ToWire for u8 {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "u8:{};", self);
    }
    fn slice(items: &[Self], out: &mut String) {
        let _ = write!(out, "b{};", hex(items));
    }
}
impl ToWire for bool {
    fn to_wire(&self, out: &mut String) {
        out.push(if *self { 't' } else { 'f' });
    }
}
impl ToWire for f64 {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "d{:016x};", self.to_bits());
    }
}
impl ToWire for f32 {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "e{:08x};", self.to_bits());
    }
}
impl ToWire for char {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "c{};", hex(self.to_string().as_bytes()));
    }
}
impl ToWire for str {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "s{};", hex(self.as_bytes()));
    }
}
impl ToWire for String {
    fn to_wire(&self, out: &mut String) {
        self.as_str().to_wire(out)
    }
}
impl ToWire for () {
    fn to_wire(&self, out: &mut String) {
        out.push('n');
    }
}
impl ToWire for std::cmp::Ordering {
    fn to_wire(&self, out: &mut String) {
        let _ = write!(out, "i8:{};", *self as i8);
    }
}
impl<T: ToWire + ?Sized> ToWire for &T {
    fn to_wire(&self, out: &mut String) {
        (**self).to_wire(out)
    }
}
impl<T: ToWire + ?Sized> ToWire for &mut T {
    fn to_wire(&self, out: &mut String) {
        (**self).to_wire(out)
    }
}
impl<T: ToWire + ToOwned + ?Sized> ToWire for Cow<'_, T> {
    fn to_wire(&self, out: &mut String) {
        (**self).to_wire(out)
    }
}
impl<T: ToWire> ToWire for Option<T> {
    fn to_wire(&self, out: &mut String) {
        match self {
            Some(item) => item.to_wire(out),
            None => out.push('n'),
        }
    }
}
impl<T: ToWire, E: Debug> ToWire for Result<T, E> {
    fn to_wire(&self, out: &mut String) {
        match self {
            Ok(item) => item.to_wire(out),
            Err(error) => format!("{:?}", error).to_wire(out),
        }
    }
    fn outcome(&self) -> String {
        match self {
            Ok(item) => item.outcome(),
            Err(error) => format!("e {}", hex(cut(&format!("error: {:?}", error)).as_bytes())),
        }
    }
}
impl<T: ToWire> ToWire for [T] {
    fn to_wire(&self, out: &mut String) {
        T::slice(self, out)
    }
}
impl<T: ToWire> ToWire for Vec<T> {
    fn to_wire(&self, out: &mut String) {
        T::slice(self, out)
    }
}
impl<T: ToWire, const N: usize> ToWire for [T; N] {
    fn to_wire(&self, out: &mut String) {
        T::slice(self, out)
    }
}

macro_rules! listed {
    ($($t:ident $open:literal $close:literal;)*) => {$(
        impl<T: ToWire> ToWire for $t<T> {
            fn to_wire(&self, out: &mut String) {
                out.push($open);
                for item in self.iter() {
                    item.to_wire(out);
                }
                out.push($close);
            }
        }
    )*};
}
listed! { VecDeque '[' ']'; LinkedList '[' ']'; BTreeSet '<' '>'; }

impl<T: ToWire, S> ToWire for HashSet<T, S> {
    fn to_wire(&self, out: &mut String) {
        out.push('<');
        for item in self.iter() {
            item.to_wire(out);
        }
        out.push('>');
    }
}
impl<K: ToWire, V: ToWire, S> ToWire for HashMap<K, V, S> {
    fn to_wire(&self, out: &mut String) {
        out.push('{');
        for (key, value) in self.iter() {
            key.to_wire(out);
            value.to_wire(out);
        }
        out.push('}');
    }
}
impl<K: ToWire, V: ToWire> ToWire for BTreeMap<K, V> {
    fn to_wire(&self, out: &mut String) {
        out.push('{');
        for (key, value) in self.iter() {
            key.to_wire(out);
            value.to_wire(out);
        }
        out.push('}');
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+))*) => {$(
        impl<$($t: FromWire),+> FromWire for ($($t,)+) {
            fn from_wire(node: &Node) -> Result<Self, Refused> {
                const COUNT: usize = [$($i),+].len();
                match node {
                    Node::Items(_, items) if items.len() == COUNT => Ok(($($t::from_wire(&items[$i])?,)+)),
                    _ => Err(Refused(format!("not a tuple of {}", COUNT))),
                }
            }
        }
        impl<$($t: ToWire),+> ToWire for ($($t,)+) {
            fn to_wire(&self, out: &mut String) {
                out.push('(');
                $(self.$i.to_wire(out);)+
                out.push(')');
            }
        }
    )*};
}
tuples! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5)
}

fn cut(text: &str) -> String {
    text.chars().take(2000).collect()
}

pub type Call = fn(&[Node]) -> Result<String, Refused>;

fn outcome(call: Call, wire: &str) -> String {
    let given = match read(wire, &mut 0) {
        Ok(Node::Items(_, items)) => items,
        _ => return "u ".into(),
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(&given))) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(Refused(why))) => format!("u {}", hex(cut(&why).as_bytes())),
        Err(why) => {
            let told = match (why.downcast_ref::<&str>(), why.downcast_ref::<String>()) {
                (Some(text), _) => text.to_string(),
                (_, Some(text)) => text.clone(),
                _ => "panic".into(),
            };
            format!("e {}", hex(cut(&format!("panic: {}", told)).as_bytes()))
        }
    }
}

pub fn work(k: &str, call: Call, tasks: &str) {
    // Descriptor 3 was given for this and belongs to nobody else.
    let mut protocol = unsafe { std::fs::File::from_raw_fd(3) };
    std::panic::set_hook(Box::new(|_| {}));
    let lines = BufReader::new(std::fs::File::open(tasks).expect("task file")).lines();
    for line in lines {
        let line = line.expect("task line");
        let fields: Vec<&str> = line.split(' ').collect();
        let answer = match fields[0] {
            "P" => format!("D {}\n", k),
            _ => format!("R {} {} {}\n", k, fields[1], outcome(call, fields[2])),
        };
        protocol.write_all(answer.as_bytes()).expect("protocol");
    }
}
