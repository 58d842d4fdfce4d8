import { connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLine, type Line } from "./line.ts";

const ends: (() => unknown)[] = [];
let line: Line;
let echoPort: number;

beforeEach(async () => {
  const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", () => resolve()));
  echoPort = (echo.address() as { port: number }).port;
  line = await openLine({ host: "127.0.0.1", port: echoPort });
  ends.push(
    () => echo.close(),
    () => line.close(),
  );
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function dial(port = line.port): { socket: Socket; heard: () => string; over: () => boolean } {
  let [heard, over] = ["", false];
  const socket = connect(port, "127.0.0.1");
  socket.on("data", (text: Buffer) => (heard += text.toString()));
  socket.on("error", () => {}).on("close", () => (over = true));
  ends.push(() => socket.destroy());
  return { socket, heard: () => heard, over: () => over };
}

it("brings through what is said, both ways", async () => {
  const one = dial();
  one.socket.write("hello");
  await expect.poll(one.heard).toBe("hello");
});

it("cut, it ends what there is and refuses what comes; mended, it lets it through", async () => {
  const before = dial();
  before.socket.write("a");
  await expect.poll(before.heard).toBe("a");
  line.cut();
  await expect.poll(before.over).toBe(true);
  const during = dial();
  await expect.poll(during.over).toBe(true);
  line.mend();
  const after = dial();
  after.socket.write("b");
  await expect.poll(after.heard).toBe("b");
});

it("silent, it loses nobody, and what was said meanwhile arrives when it is mended", async () => {
  const before = dial();
  before.socket.write("a");
  await expect.poll(before.heard).toBe("a");
  line.cut("silent");
  before.socket.write("b");
  const during = dial();
  during.socket.write("c");
  const past = dial(echoPort); // what goes past the line comes back, so the others would have as well
  for (let times = 1; times <= 20; times++) {
    past.socket.write("d");
    await expect.poll(past.heard).toBe("d".repeat(times));
  }
  expect([before.heard(), during.heard(), before.over(), during.over()]).toEqual(["a", "", false, false]);
  line.mend();
  await expect.poll(before.heard).toBe("ab");
  await expect.poll(during.heard).toBe("c");
});
