// Files that the page hands to the browser. Until the browser has written them they are the browser's
// own copies, which have an address of their own.

const KEPT_MS = 60_000;

class Saved {
  constructor() {
    /** The timer of each address. */
    this.addresses = new Map();
  }

  /** Save parts, Uint8Arrays or Blobs, as one file. */
  save(parts, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts));
    link.download = name;
    link.click();
    const address = link.href;
    this.addresses.set(address, setTimeout(() => this.drop(address), KEPT_MS));
  }

  drop(address) {
    URL.revokeObjectURL(address);
    clearTimeout(this.addresses.get(address));
    this.addresses.delete(address);
  }

  /** Drop the copies; what is being written is written to its end. */
  forget() {
    for (const address of this.addresses.keys()) this.drop(address);
  }
}

export const saved = new Saved();
