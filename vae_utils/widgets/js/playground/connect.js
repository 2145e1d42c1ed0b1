// Starts a host in a worker; or, where no worker may start, in slices in the page.

import { Host } from "./host.js";

/**
 * Start a host and hear its snapshots. Returns {post, close, where}: where is "worker" or "page".
 * source: what the worker runs. inPage: train in slices between two frames, without a worker.
 */
export function connect(source, onSnapshot, inPage = false) {
  /** @type {{where: string, close: () => void, post: (message: object) => void}} */
  const link = { where: "page", close() {}, post() {} };
  const early = []; // what was posted before it is known whether the worker lives
  let heard = false;

  const inSlices = () => {
    const host = new Host(onSnapshot);
    let frame = 0;
    const turn = () => {
      frame = host.work(9) ? requestAnimationFrame(turn) : 0;
    };
    link.where = "page";
    link.post = (message) => {
      host.receive(message);
      if (host.running && !frame) frame = requestAnimationFrame(turn);
    };
    link.close = () => cancelAnimationFrame(frame);
    early.splice(0).forEach(link.post);
  };

  if (inPage) {
    inSlices();
    return link;
  }
  let worker, address;
  try {
    address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    worker = new Worker(address);
  } catch {
    inSlices();
    return link;
  }
  link.where = "worker";
  link.post = (message) => {
    if (!heard) early.push(message);
    worker.postMessage(message);
  };
  link.close = () => {
    worker.terminate();
    URL.revokeObjectURL(address);
  };
  worker.onmessage = (event) => {
    heard = true;
    early.length = 0;
    onSnapshot(event.data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    if (heard) throw new Error(`the playground's worker failed: ${event.message}`);
    link.close(); // a page's policy may forbid it
    inSlices();
  };
  return link;
}
