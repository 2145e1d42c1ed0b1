// Takes messages, trains, and posts snapshots: in a worker, so that the page stays smooth, or in slices in the page.

import { clock, LAST_STEP, Trainer } from "./trainer.js";

const SHOW_EVERY = 45; // milliseconds between two looks at a run, at least

/** Takes messages from the view, trains, and posts snapshots back; never more than one that is not drawn yet. */
export class Host {
  constructor(post) {
    this.post = post;
    this.trainer = null;
    this.running = false;
    this.waiting = false;
    this.shown = 0;
    this.since = 0;
    this.pace = [];
  }

  receive(message) {
    const { type, settings, plan } = message;
    if (type === "drawn") this.waiting = false;
    else if (type === "run") this.run();
    else if (type === "change") {
      this.trainer.change(settings);
      if (!this.running) this.show(true);
    } else {
      if (type === "start") this.trainer = new Trainer(message.pictures, settings, plan);
      else if (type === "restart") this.trainer.restart(settings, plan);
      else if (type === "step") this.trainer.step();
      else if (type === "pause") this.running = false;
      if (type === "start" || type === "restart") this.since = 0;
      this.show(true, type === "restart");
    }
  }

  run() {
    this.running = this.trainer.status === "fine";
    this.pace = [];
    if (this.trainer.steps >= this.trainer.lastStep) this.trainer.lastStep += LAST_STEP; // played again
  }

  /** Train for so many milliseconds; false where there is nothing to do. */
  work(milliseconds) {
    if (!this.running) return false;
    const { trainer } = this;
    trainer.advance(milliseconds);
    this.running = trainer.status === "fine" && trainer.steps < trainer.lastStep;
    if (!this.running) this.show(true);
    else if (!this.waiting && clock() - this.shown >= SHOW_EVERY) this.show(false);
    return this.running;
  }

  show(complete, fresh = false) {
    const now = clock(),
      { trainer } = this;
    this.pace = [...this.pace.filter(([when]) => now - when < 2000), [now, trainer.steps]];
    const [when, steps] = this.pace[0];
    const snapshot = trainer.snapshot(complete, this.since);
    this.since += snapshot.noted.length;
    Object.assign(snapshot, { running: this.running, fresh });
    snapshot.rate = this.running && now - when > 200 ? (1000 * (trainer.steps - steps)) / (now - when) : 0;
    this.waiting = true;
    this.shown = now;
    this.post(snapshot);
  }
}

/** What a worker runs: messages in, snapshots out, and training in between. */
export function serve() {
  const host = new Host((snapshot) => postMessage(snapshot));
  const turn = new MessageChannel(); // lets waiting messages in between two slices, without a timer's delay
  let turning = false;
  const next = () => {
    if (turning) return;
    turning = true;
    turn.port2.postMessage(null);
  };
  turn.port1.onmessage = () => {
    turning = false;
    if (host.work(20)) next();
  };
  self.onmessage = (event) => {
    host.receive(event.data);
    if (host.running) next();
  };
}
