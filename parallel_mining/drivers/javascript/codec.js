// Evaluated inside each program's own context, so that arrays, maps and sets are of the kind the program expects.
// Returns {decode, call}: the wire form of `parallel_mining.values`.
(() => {
  "use strict";
  const ITEMS_KEPT = 10000;
  const DEPTH = 100;
  // Kept before the program can replace them.
  const bits = new DataView(new ArrayBuffer(8));
  const { isArray } = Array;
  const { isInteger, isSafeInteger } = Number;
  const big = BigInt;
  const { getPrototypeOf, keys } = Object;
  const objectPrototype = Object.prototype;
  const tagOf = Function.prototype.call.bind(Object.prototype.toString);
  const TypedArray = getPrototypeOf(Uint8Array);
  const [M, S, U8, U8C] = [Map, Set, Uint8Array, Uint8ClampedArray];

  class Unrepresentable extends Error {}

  const utf16 = (text) => {
    let hex = "";
    for (let i = 0; i < text.length; i++) hex += text.charCodeAt(i).toString(16).padStart(4, "0");
    return hex;
  };
  const float = (number) => {
    bits.setFloat64(0, number);
    return bits.getBigUint64(0).toString(16).padStart(16, "0");
  };

  const encode = (item, depth) => {
    if (depth > DEPTH) throw new Unrepresentable("nested too deep");
    switch (typeof item) {
      case "undefined":
        return "n";
      case "boolean":
        return item ? "t" : "f";
      case "number":
        return `m${float(item)};`;
      case "bigint":
        return `i${item};`;
      case "string":
        return `S${utf16(item)};`;
      case "symbol":
      case "function":
        throw new Unrepresentable(`a ${typeof item} has no canonical form`);
    }
    if (item === null) return "n";
    const each = (items) => {
      let out = "";
      let count = 0;
      for (const one of items) {
        if (++count > ITEMS_KEPT * 10) throw new Unrepresentable("too many items");
        out += encode(one, depth + 1);
      }
      return out;
    };
    if (isArray(item)) return `[${each(item)}]`;
    if (item instanceof U8 || item instanceof U8C) {
      let hex = "";
      for (const octet of item) hex += octet.toString(16).padStart(2, "0");
      return `b${hex};`;
    }
    if (item instanceof TypedArray) return `[${each(item)}]`;
    if (item instanceof M) {
      let out = "";
      for (const [key, value] of item) out += encode(key, depth + 1) + encode(value, depth + 1);
      return `{${out}}`;
    }
    if (item instanceof S) return `<${each(item)}>`;
    if (item instanceof Number || item instanceof String || item instanceof Boolean) {
      return encode(item.valueOf(), depth + 1);
    }
    if (typeof item.next === "function" && typeof item[Symbol.iterator] === "function") {
      const taken = [];
      for (const one of item) {
        if (taken.length >= ITEMS_KEPT) throw new Unrepresentable(`an iterator of more than ${ITEMS_KEPT} items`);
        taken.push(one);
      }
      return `[${each(taken)}]`;
    }
    const prototype = getPrototypeOf(item);
    const plain = prototype === null || prototype === objectPrototype;
    if (!plain && tagOf(item) !== "[object Object]") {
      throw new Unrepresentable(`${tagOf(item)} has no canonical form`);
    }
    let out = "";
    for (const key of keys(item)) out += encode(key, depth + 1) + encode(item[key], depth + 1);
    if (plain) return `o{${out}}`;
    const name = prototype.constructor?.name ?? "";
    const utf8 = [...unescape(encodeURIComponent(name))].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0"));
    return `r${utf8.join("")};{${out}}`;
  };

  const text = (hex) => decodeURIComponent(hex.replace(/../g, "%$&"));

  class Reader {
    constructor(wire) {
      this.wire = wire;
      this.at = 0;
    }
    until(closing, one) {
      const items = [];
      while (this.wire[this.at] !== closing) items.push(one());
      this.at++;
      return items;
    }
    // `type` is the declared canonical type, or empty.
    value(type) {
      const inner = /^(?:optional)\[(.*)\]$/.exec(type);
      if (inner) type = inner[1];
      const item = /^(?:list|set)\[(.*)\]$/.exec(type)?.[1] ?? "";
      const tag = this.wire[this.at++];
      switch (tag) {
        case "n":
          return null;
        case "t":
          return true;
        case "f":
          return false;
        case "[":
        case "(": {
          const items = this.until(tag === "[" ? "]" : ")", () => this.value(item));
          return type.startsWith("set[") ? new S(items) : items;
        }
        case "<":
          return new S(this.until(">", () => this.value(item)));
        case "{": {
          const pairs = this.until("}", () => [this.value(""), this.value("")]);
          if (type.startsWith("map[") || pairs.some(([key]) => typeof key !== "string")) return new M(pairs);
          return Object.fromEntries(pairs);
        }
      }
      const end = this.wire.indexOf(";", this.at);
      const body = this.wire.slice(this.at, end);
      this.at = end + 1;
      switch (tag) {
        case "i": {
          if (type === "int" || type === "int64" || type === "uint64") return big(body);
          const number = Number(body);
          if (!isSafeInteger(number)) throw new Unrepresentable(`${body} is beyond a number's exact ints`);
          return number;
        }
        case "d":
        case "m":
          bits.setBigUint64(0, big(`0x${body}`));
          return bits.getFloat64(0);
        case "s":
        case "c":
          return text(body);
        case "b":
          return new U8((body.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
      }
      throw new Unrepresentable(`an argument of kind ${tag}`);
    }
  }

  const message = (error) => {
    try {
      return error instanceof Error || tagOf(error) === "[object Error]"
        ? `${error.name}: ${error.message}`
        : `thrown: ${String(error)}`;
    } catch {
      return "thrown";
    }
  };

  // Call a function on the arguments in the wire form; return the outcome's letter and its data or message.
  const call = (target, self, wire, types) => {
    let given;
    try {
      const reader = new Reader(wire.slice(1));
      given = [];
      while (reader.wire[reader.at] !== "]") given.push(reader.value(types[given.length] ?? ""));
    } catch (error) {
      return ["u", message(error)];
    }
    let result;
    try {
      result = target.apply(self, given);
    } catch (error) {
      if (error instanceof RangeError && /Invalid (array|string) length|allocation failed/.test(error.message)) {
        return ["m", message(error)];
      }
      return ["e", message(error)];
    }
    try {
      return ["v", encode(result, 0)];
    } catch (error) {
      return error instanceof Unrepresentable ? ["u", error.message] : ["e", message(error)];
    }
  };
  return { call, message };
})();
