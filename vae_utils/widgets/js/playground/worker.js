// Who drives the trainer: a worker, so that the page stays smooth; or, where no worker may start, slices in the page.

var VAEPlayground = VAEPlayground || {};

VAEPlayground.defineHost = function (P) {
  "use strict";

  const SHOW_EVERY = 45; // milliseconds between two looks at a run, at least

  /** Takes messages from the view, trains, and posts snapshots back; never more than one that is not drawn yet. */
  class Host {
    constructor(post) {
      Object.assign(this, { post, trainer: null, running: false, waiting: false, shown: 0, since: 0, pace: [] });
    }

    receive(message) {
      const { type, settings, plan } = message;
      if (type === "drawn") this.waiting = false;
      else if (type === "run") this.run();
      else if (type === "change") {
        this.trainer.change(settings);
        if (!this.running) this.show(true);
      } else {
        if (type === "start") this.trainer = new P.Trainer(message.pictures, settings, plan);
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
      if (this.trainer.steps >= this.trainer.lastStep) this.trainer.lastStep += P.LAST_STEP; // played again
    }

    /** Train for so many milliseconds; false where there is nothing to do. */
    work(milliseconds) {
      if (!this.running) return false;
      const { trainer } = this;
      trainer.advance(milliseconds);
      this.running = trainer.status === "fine" && trainer.steps < trainer.lastStep;
      if (!this.running) this.show(true);
      else if (!this.waiting && P.now() - this.shown >= SHOW_EVERY) this.show(false);
      return this.running;
    }

    show(complete, fresh = false) {
      const now = P.now(), { trainer } = this;
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
  P.serve = function () {
    const host = new P.Host((snapshot) => postMessage(snapshot));
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
    onmessage = (event) => {
      host.receive(event.data);
      if (host.running) next();
    };
  };

  /**
   * Start a host and hear its snapshots. Returns {post, close, where}: where is "worker" or "page".
   * inPage: train in slices between two frames, without a worker.
   */
  P.connect = function (onSnapshot, inPage = false) {
    const link = { where: "page", close() {}, post() {} };
    const early = []; // what was posted before it is known whether the worker lives
    let heard = false;

    const inSlices = () => {
      const host = new P.Host(onSnapshot);
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
      const parts = [P.defineNumbers, P.defineTrainer, P.defineHost].map((part) => `(${part})(P);`);
      address = URL.createObjectURL(new Blob([`const P = {};${parts.join("\n")}P.serve();`], { type: "text/javascript" }));
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
  };

  P.Host = Host;
};

VAEPlayground.defineHost(VAEPlayground);
