// Ends a program of Node with the process that started it, however that ends:
// loaded by NODE_OPTIONS. The parent holds the other end of standard input.
"use strict";

process.stdin.on("close", () => process.kill(process.pid, "SIGKILL"));
process.stdin.resume();
