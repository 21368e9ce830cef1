// What the service says of its models. A model may be replaced while the page is open, and what one
// was asked for is no answer for the other: each is known by the digest of its file.

import {Passing} from "./requests.js";
import {model} from "./service.js";

const MAX_TRIES = 3;

export class Models {
  constructor() {
    this.known = new Map();
    this.latest = null;
  }

  /** Ask which model is served now: see GET /v1/model. */
  async ask() {
    const answer = await model();
    this.known.set(answer.sha256, answer);
    this.latest = answer;
    return answer;
  }

  /** Return what is known of the model of a reading; without one, of the latest; null for nothing. */
  of(reading) {
    return this.known.get(reading?.result?.model.sha256) ?? this.latest;
  }

  /** Return the contract of the model that gave an answer, `sha256` its digest. */
  async contractOf({sha256}) {
    for (let tries = 0; !this.known.has(sha256); tries++) {
      if (tries === MAX_TRIES) throw new Passing("The model was replaced while this image was read.");
      await this.ask();
    }
    return this.known.get(sha256).contract;
  }
}
