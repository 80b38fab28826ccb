// The main package of a batch's binary: calls one program's function, by reflection, on the cases of a task file.
// See `supervisor` for the protocol and `parallel_mining.values` for the wire form.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"os"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode/utf8"
)

const depthKept = 100

var out = os.NewFile(3, "protocol")

type unrepresentable struct{ why string }

func refuse(format string, arguments ...interface{}) {
	panic(unrepresentable{fmt.Sprintf(format, arguments...)})
}

func hexed(text string) string {
	if len(text) > 2000 {
		text = text[:2000]
	}
	return hex.EncodeToString([]byte(text))
}

type reader struct {
	wire string
	at   int
}

func (r *reader) body() string {
	end := r.at + strings.IndexByte(r.wire[r.at:], ';')
	body := r.wire[r.at:end]
	r.at = end + 1
	return body
}

// A decoded argument, before it is known what type is wanted.
type node struct {
	tag   byte
	text  string
	float float64
	items []node
}

func (r *reader) node() node {
	tag := r.wire[r.at]
	r.at++
	closing := map[byte]byte{'[': ']', '(': ')', '<': '>', '{': '}'}[tag]
	if closing != 0 {
		n := node{tag: tag}
		for r.wire[r.at] != closing {
			n.items = append(n.items, r.node())
		}
		r.at++
		return n
	}
	n := node{tag: tag}
	switch tag {
	case 'n', 't', 'f':
	case 'd', 'm':
		bits, _ := strconv.ParseUint(r.body(), 16, 64)
		n.float = math.Float64frombits(bits)
	case 's', 'c', 'b':
		raw, _ := hex.DecodeString(r.body())
		n.text = string(raw)
	case 'i':
		n.text = r.body()
	default:
		refuse("an argument of kind %c", tag)
	}
	return n
}

var bigInt = reflect.TypeOf((*big.Int)(nil))

// native returns an argument as the type the function wants.
func native(n node, t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Bool:
		if n.tag != 't' && n.tag != 'f' {
			refuse("%c is no bool", n.tag)
		}
		v.SetBool(n.tag == 't')
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n.tag == 's' && utf8.RuneCountInString(n.text) == 1 && t.Kind() == reflect.Int32 {
			r, _ := utf8.DecodeRuneInString(n.text)
			v.SetInt(int64(r))
			return v
		}
		number, err := strconv.ParseInt(n.text, 10, 64)
		if n.tag != 'i' || err != nil || v.OverflowInt(number) {
			refuse("%q does not fit %s", n.text, t)
		}
		v.SetInt(number)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if n.tag == 's' && len(n.text) == 1 && t.Kind() == reflect.Uint8 {
			v.SetUint(uint64(n.text[0]))
			return v
		}
		number, err := strconv.ParseUint(n.text, 10, 64)
		if n.tag != 'i' || err != nil || v.OverflowUint(number) {
			refuse("%q does not fit %s", n.text, t)
		}
		v.SetUint(number)
	case reflect.Float32, reflect.Float64:
		number := n.float
		if n.tag == 'i' {
			number, _ = strconv.ParseFloat(n.text, 64)
		} else if n.tag != 'd' && n.tag != 'm' {
			refuse("%c is no float", n.tag)
		}
		v.SetFloat(number)
	case reflect.Complex64, reflect.Complex128:
		refuse("complex numbers have no canonical form")
	case reflect.String:
		if n.tag != 's' && n.tag != 'c' {
			refuse("%c is no text", n.tag)
		}
		v.SetString(n.text)
	case reflect.Slice:
		if n.tag == 'n' {
			return v
		}
		if (n.tag == 'b' || n.tag == 's') && t.Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(n.text))
			return v
		}
		if n.tag == 's' && t.Elem().Kind() == reflect.Int32 {
			v.Set(reflect.ValueOf([]rune(n.text)).Convert(t))
			return v
		}
		if n.tag != '[' && n.tag != '(' {
			refuse("%c is no list", n.tag)
		}
		v.Set(reflect.MakeSlice(t, len(n.items), len(n.items)))
		for i, item := range n.items {
			v.Index(i).Set(native(item, t.Elem()))
		}
	case reflect.Array:
		if n.tag != '[' && n.tag != '(' || len(n.items) != t.Len() {
			refuse("not a list of %d", t.Len())
		}
		for i, item := range n.items {
			v.Index(i).Set(native(item, t.Elem()))
		}
	case reflect.Map:
		if n.tag == 'n' {
			return v
		}
		v.Set(reflect.MakeMap(t))
		if n.tag == '<' || n.tag == '[' {
			for _, item := range n.items {
				value := reflect.New(t.Elem()).Elem()
				if value.Kind() == reflect.Bool {
					value.SetBool(true)
				}
				v.SetMapIndex(native(item, t.Key()), value)
			}
			return v
		}
		if n.tag != '{' {
			refuse("%c is no dict", n.tag)
		}
		for i := 0; i < len(n.items); i += 2 {
			v.SetMapIndex(native(n.items[i], t.Key()), native(n.items[i+1], t.Elem()))
		}
	case reflect.Ptr:
		if n.tag == 'n' {
			return v
		}
		if t == bigInt {
			number, ok := new(big.Int).SetString(n.text, 10)
			if !ok {
				refuse("%c is no int", n.tag)
			}
			return reflect.ValueOf(number)
		}
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(native(n, t.Elem()))
	case reflect.Interface:
		if t.NumMethod() > 0 {
			refuse("no value can be made for %s", t)
		}
		if n.tag != 'n' {
			v.Set(natural(n))
		}
	default:
		refuse("no value can be made for %s", t)
	}
	return v
}

func natural(n node) reflect.Value {
	switch n.tag {
	case 't', 'f':
		return reflect.ValueOf(n.tag == 't')
	case 'i':
		return native(n, reflect.TypeOf(0))
	case 'd', 'm':
		return reflect.ValueOf(n.float)
	case 's', 'c':
		return reflect.ValueOf(n.text)
	case 'b':
		return reflect.ValueOf([]byte(n.text))
	case '{':
		return native(n, reflect.TypeOf(map[interface{}]interface{}{}))
	}
	return native(n, reflect.TypeOf([]interface{}{}))
}

// possible says whether arguments of a type can be made at all.
func possible(t reflect.Type, depth int) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Struct:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Ptr, reflect.Slice, reflect.Array:
		return t == bigInt || depth > 20 || possible(t.Elem(), depth+1)
	case reflect.Map:
		return depth > 20 || possible(t.Key(), depth+1) && possible(t.Elem(), depth+1)
	}
	return true
}

func text(s string) string { return "s" + hex.EncodeToString([]byte(s)) + ";" }

func encode(v reflect.Value, b *strings.Builder, depth int) {
	if depth > depthKept {
		refuse("nested too deep")
	}
	if !v.IsValid() {
		b.WriteByte('n')
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		b.WriteByte("ft"[map[bool]int{false: 0, true: 1}[v.Bool()]])
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprintf(b, "i%d:%d;", v.Type().Bits(), v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		fmt.Fprintf(b, "u%d:%d;", v.Type().Bits(), v.Uint())
	case reflect.Float32:
		fmt.Fprintf(b, "e%08x;", math.Float32bits(float32(v.Float())))
	case reflect.Float64:
		fmt.Fprintf(b, "d%016x;", math.Float64bits(v.Float()))
	case reflect.String:
		if utf8.ValidString(v.String()) {
			b.WriteString(text(v.String()))
		} else {
			b.WriteString("b" + hex.EncodeToString([]byte(v.String())) + ";")
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			b.WriteString("b" + hex.EncodeToString(v.Bytes()) + ";")
			return
		}
		b.WriteByte('[')
		for i := 0; i < v.Len(); i++ {
			encode(v.Index(i), b, depth+1)
		}
		b.WriteByte(']')
	case reflect.Map:
		set := v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem().NumField() == 0
		b.WriteByte("{<"[map[bool]int{false: 0, true: 1}[set]])
		for _, key := range v.MapKeys() {
			encode(key, b, depth+1)
			if !set {
				encode(v.MapIndex(key), b, depth+1)
			}
		}
		b.WriteByte("}>"[map[bool]int{false: 0, true: 1}[set]])
	case reflect.Ptr:
		if v.Type() == bigInt && !v.IsNil() && v.CanInterface() {
			fmt.Fprintf(b, "i%s;", v.Interface().(*big.Int).String())
			return
		}
		encode(v.Elem(), b, depth+1)
	case reflect.Interface:
		encode(v.Elem(), b, depth+1)
	case reflect.Struct:
		fmt.Fprintf(b, "r%s;{", hex.EncodeToString([]byte(v.Type().Name())))
		for i := 0; i < v.NumField(); i++ {
			b.WriteString(text(v.Type().Field(i).Name))
			encode(v.Field(i), b, depth+1)
		}
		b.WriteByte('}')
	default:
		refuse("a %s has no canonical form", v.Type())
	}
}

var errorType = reflect.TypeOf((*error)(nil)).Elem()

func results(values []reflect.Value, returns string) string {
	if last := len(values) - 1; last >= 0 && values[last].Type() == errorType {
		if !values[last].IsNil() {
			return "e " + hexed("error: "+values[last].Interface().(error).Error())
		}
		values = values[:last]
	}
	var b strings.Builder
	switch {
	case len(values) == 1 && returns == "char" && values[0].Kind() == reflect.Int32:
		b.WriteString("c" + hex.EncodeToString([]byte(string(rune(values[0].Int())))) + ";")
	case len(values) == 1:
		encode(values[0], &b, 0)
	case len(values) == 0:
		b.WriteByte('n')
	default:
		b.WriteByte('(')
		for _, value := range values {
			encode(value, &b, 0)
		}
		b.WriteByte(')')
	}
	return "v " + b.String()
}

func call(f reflect.Value, wire string, returns string) (outcome string) {
	called := false
	defer func() {
		if why := recover(); why != nil {
			refused, ok := why.(unrepresentable)
			switch {
			case ok:
				outcome = "u " + hexed(refused.why)
			case called:
				outcome = "e " + hexed(fmt.Sprintf("panic: %v", why))
			default:
				outcome = "u " + hexed(fmt.Sprintf("%v", why))
			}
		}
	}()
	given := (&reader{wire: wire}).node().items
	t := f.Type()
	if len(given) != t.NumIn() {
		refuse("%d arguments for %d parameters", len(given), t.NumIn())
	}
	arguments := make([]reflect.Value, len(given))
	for i := range given {
		arguments[i] = native(given[i], t.In(i))
	}
	called = true
	if t.IsVariadic() {
		return results(f.CallSlice(arguments), returns)
	}
	return results(f.Call(arguments), returns)
}

func main() {
	if len(os.Args) < 3 {
		return
	}
	debug.SetMaxStack(64 << 20)
	k := os.Args[2]
	if os.Args[1] == "<program>" {
		os.Args = os.Args[:1]
		entries[k]().(func())()
		return
	}
	f := reflect.ValueOf(entries[k]())
	if f.Kind() != reflect.Func {
		fmt.Fprintf(out, "X %s %s\n", k, hexed("the entry is no function"))
		return
	}
	for i := 0; i < f.Type().NumIn(); i++ {
		if !possible(f.Type().In(i), 0) {
			fmt.Fprintf(out, "U %s %s\n", k, hexed(fmt.Sprintf("no argument can be made for %s", f.Type().In(i))))
			return
		}
	}
	tasks, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	lines := bufio.NewReaderSize(tasks, 1<<16)
	returns := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if fields[0] == "P" {
			returns = fields[3][strings.IndexByte(fields[3], '>')+1:]
			fmt.Fprintf(out, "D %s\n", k)
			continue
		}
		fmt.Fprintf(out, "R %s %s %s\n", k, fields[1], call(f, fields[2], returns))
	}
}
