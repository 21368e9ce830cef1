// Pictures, decoded in a worker, a few at a time. What was asked for last is wanted first, and what
// nobody waits for any more is not begun.

import {abortable} from "./abortable.js";

const AT_ONCE = 2;

export class Decoder {
  constructor() {
    this.worker = new Worker(new URL("decode-worker.js", import.meta.url), {type: "module"});
    this.worker.addEventListener("message", ({data}) => this.settle(data));
    this.queue = [];
    this.running = new Map();
    this.last = 0;
  }

  /**
   * Return {levels, maps}: an image's pyramid, and the maps beside it, see decode-worker.js.
   *
   * @param signal of an AbortController; once it is aborted, the promise is rejected
   */
  decode(image, maps, signal) {
    return abortable(signal, (resolve, reject) => {
      // A number of its own: two decodings of one image are two, and neither settles the other.
      const job = {id: ++this.last, image, maps, resolve, reject};
      this.queue.push(job);
      this.next();
      return () => {
        this.queue = this.queue.filter((one) => one !== job);
      };
    });
  }

  next() {
    while (this.running.size < AT_ONCE && this.queue.length > 0) {
      const job = this.queue.pop();
      this.running.set(job.id, job);
      this.worker.postMessage({id: job.id, image: job.image, maps: job.maps});
    }
  }

  settle({id, levels, maps, fault}) {
    const {resolve, reject} = this.running.get(id);
    this.running.delete(id);
    if (fault) reject(new Error(`The picture could not be read: ${fault}.`));
    else resolve({levels, maps});
    this.next();
  }
}
