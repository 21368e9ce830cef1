// A ZIP file of what is compressed already: entries are stored (APPNOTE.TXT 6.3.10, 4.3).

const TABLE = Uint32Array.from({length: 256}, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** What fits into the fields of a ZIP without its extension, ZIP64 (4.4.1.4). */
const MAX_BYTES = 2 ** 32 - 1;
const MAX_ENTRIES = 2 ** 16 - 1;

/** A ZIP that is being made, in memory. */
export class Zip {
  constructor() {
    this.files = [];
    this.directory = [];
    this.directoryLength = 0;
    this.size = 0;
    this.count = 0;
  }

  /** Add a file; a RangeError where a ZIP can hold no more. */
  add(name, bytes) {
    const entry = {name: new TextEncoder().encode(name), crc: crc32(bytes), size: bytes.length};
    const size = this.size + 30 + entry.name.length + bytes.length;
    const directory = this.directoryLength + 46 + entry.name.length;
    if (this.count === MAX_ENTRIES || size + directory > MAX_BYTES) {
      throw new RangeError("More than one ZIP can hold.");
    }
    this.files.push(record(entry, null), entry.name, bytes);
    this.directory.push(record(entry, this.size), entry.name);
    this.directoryLength = directory;
    this.size = size;
    this.count++;
  }

  /** Return it as it stands, in parts. */
  parts() {
    const {files, directory, count, directoryLength, size} = this;
    return [...files, ...directory, end(count, directoryLength, size)];
  }
}

/** A local file header, or with an offset the central directory's. */
function record({name, crc, size}, offset) {
  const central = offset !== null;
  const view = new DataView(new ArrayBuffer(central ? 46 : 30));
  view.setUint32(0, central ? 0x02014b50 : 0x04034b50, true);
  const at = central ? 6 : 4;
  if (central) view.setUint16(4, 20, true);
  view.setUint16(at, 20, true);
  // Names are UTF-8.
  view.setUint16(at + 2, 0x0800, true);
  // No time is told: 1980-01-01.
  view.setUint16(at + 8, 0x21, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, size, true);
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, name.length, true);
  if (central) view.setUint32(42, offset, true);
  return new Uint8Array(view.buffer);
}

function end(entries, length, offset) {
  const view = new DataView(new ArrayBuffer(22));
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, entries, true);
  view.setUint16(10, entries, true);
  view.setUint32(12, length, true);
  view.setUint32(16, offset, true);
  return new Uint8Array(view.buffer);
}
