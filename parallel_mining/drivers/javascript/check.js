// Runs inside the sandbox: lays out the whole programs of a batch, without types, and tells of those that do not parse.
// See `supervisor` for the protocol.
"use strict";
const fs = require("node:fs");
const vm = require("node:vm");
const { stripTypeScriptTypes, wrap } = require("node:module");

const extension = process.argv[2];
fs.mkdirSync("/tmp/built");
for (const name of fs.readdirSync("/job/programs")) {
  const k = name.split(".")[0];
  try {
    let code = fs.readFileSync(`/job/programs/${name}`, "utf8").replace(/^#!.*/, "");
    if (extension === "ts") code = stripTypeScriptTypes(code, { mode: "transform" });
    fs.writeFileSync(`/tmp/built/${k}.js`, code);
    // Node itself takes for a module what does not parse as a script.
    try {
      new vm.Script(wrap(code), { filename: name });
    } catch (error) {
      if (!/import|export|await/.test(code)) throw error;
      new vm.SourceTextModule(code, { identifier: name });
    }
  } catch (error) {
    fs.writeSync(3, `X ${k} ${Buffer.from(String(error).slice(0, 2000)).toString("hex")}\n`);
  }
}
fs.writeSync(3, "Z\n");
process.reallyExit(0);
