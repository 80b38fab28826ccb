// Runs inside the sandbox: loads JavaScript and TypeScript programs, each in a context of its own, and calls them.
// See `supervisor` for the protocol. A context keeps programs apart; it protects nothing: that is the sandbox's work.
"use strict";
const fs = require("node:fs");
const vm = require("node:vm");
const { stripTypeScriptTypes } = require("node:module");

const [extension, taskFile] = process.argv.slice(2);
const codec = new vm.Script(fs.readFileSync("/job/codec.js", "utf8"), { filename: "codec.js" });
const write = fs.writeSync;
const hexed = (text) => Buffer.from(String(text).slice(0, 2000), "utf8").toString("hex");
const tell = (line) => {
  const data = Buffer.from(`${line}\n`, "latin1");
  for (let at = 0; at < data.length; ) at += write(3, data, at);
};

const silent = () => undefined;
// What a program may expect of its surroundings; a new one for each, so that none is left changed for the next.
const surroundings = () => ({
  console: new Proxy({}, { get: () => silent }),
  require: (name) => {
    const module = require(name.startsWith("node:") ? name : `node:${name}`);
    return module;
  },
  module: { exports: {} },
  exports: {},
  process: { env: {}, argv: [], platform: "linux", nextTick: silent, hrtime: process.hrtime, stdout: { write: silent } },
  performance,
  Buffer,
  TextEncoder,
  TextDecoder,
  URL,
  URLSearchParams,
  structuredClone,
  setTimeout: silent,
  clearTimeout: silent,
  setInterval: silent,
  clearInterval: silent,
  queueMicrotask: silent,
  atob,
  btoa,
});

const load = (k, entry) => {
  let code = fs.readFileSync(`/job/programs/${k}.${extension}`, "utf8");
  if (extension === "ts") code = stripTypeScriptTypes(code, { mode: "transform" });
  const outer = surroundings();
  const context = vm.createContext(outer);
  vm.runInContext("globalThis.global = globalThis", context);
  const { call, message } = codec.runInContext(context);
  try {
    new vm.Script(code, { filename: `program_${k}.${extension}` }).runInContext(context);
    const dot = entry.lastIndexOf(".");
    const self = dot < 0 ? undefined : vm.runInContext(entry.slice(0, dot), context);
    const target = dot < 0 ? vm.runInContext(entry, context) : self[entry.slice(dot + 1)];
    if (typeof target !== "function") throw new TypeError(`${entry} is no function`);
    return (wire, types) => call(target, self, wire, types);
  } catch (error) {
    throw new Error(message(error));
  }
};

const programs = [];
for (const line of fs.readFileSync(taskFile, "latin1").split("\n")) {
  const fields = line.split(" ");
  if (fields[0] === "P") programs.push({ k: fields[1], entry: fields[2], types: fields[3].split(">")[0].split(";"), cases: [] });
  if (fields[0] === "C") programs.at(-1).cases.push([fields[1], fields[2]]);
}
process.on("unhandledRejection", silent);
for (const { k, entry, types, cases } of programs) {
  let run;
  try {
    run = load(k, entry);
  } catch (error) {
    tell(`X ${k} ${hexed(error.message)}`);
    continue;
  }
  tell(`D ${k}`);
  for (const [c, wire] of cases) {
    const [letter, data] = run(wire, types);
    tell(`R ${k} ${c} ${letter} ${letter === "v" ? data : hexed(data)}`);
  }
}
// Timers or handles that a program left behind must not keep the process.
process.reallyExit(0);
