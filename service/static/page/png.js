// A grey PNG of 8 or 16 bits -> its values (PNG specification, third edition, 9 and 10).
// A browser's own decoder keeps only 8 of 16 bits, which a narrow window would show as bands.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** Decode bytes: {width, height, data: Uint16Array}; 8-bit values are spread over 16 bits. */
export async function decodeGrey(bytes) {
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) throw new Error("not a PNG");
  const {width, height, depth, compressed} = chunks(bytes);
  const pixelBytes = depth / 8;
  const stride = width * pixelBytes;
  const rows = await inflate(compressed, height * (stride + 1));
  if (pixelBytes === 2 && isDifferences(rows, height, stride)) {
    return {width, height, data: summed(rows, width, height)};
  }
  unfilter(rows, height, stride, pixelBytes);
  return {width, height, data: values(rows, width, height, pixelBytes)};
}

function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const compressed = [];
  let header = null;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IHDR") {
      header = {width: view.getUint32(at + 8), height: view.getUint32(at + 12),
        depth: bytes[at + 16]};
      if (bytes[at + 17] !== 0 || header.depth < 8 || bytes[at + 20] !== 0) {
        throw new Error("not a grey PNG of 8 or 16 bits");
      }
    } else if (kind === "IDAT") {
      compressed.push(bytes.subarray(at + 8, at + 8 + length));
    }
    at += length + 12;
  }
  return {...header, compressed};
}

async function inflate(parts, length) {
  const inflated = new Uint8Array(length);
  const {readable, writable} = new DecompressionStream("deflate");
  const written = feed(writable.getWriter(), parts);
  // What is broken is told by the reader, too, and once is enough.
  written.catch(() => {});
  let at = 0;
  const reader = readable.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (at + next.value.length > length) throw new Error("a PNG that is longer than it says");
    inflated.set(next.value, at);
    at += next.value.length;
  }
  await written;
  if (at !== length) throw new Error("a PNG that is cut short");
  return inflated;
}

async function feed(writer, parts) {
  for (const part of parts) await writer.write(part);
  await writer.close();
}

/** Whether each row holds differences to the pixel on the left, as the service writes them. */
function isDifferences(rows, height, stride) {
  for (let y = 0; y < height; y++) if (rows[y * (stride + 1)] !== 1) return false;
  return true;
}

/** Undo those in one pass: half the time of two. */
function summed(rows, width, height) {
  const data = new Uint16Array(width * height);
  let from = 0;
  for (let y = 0, at = 0; y < height; y++) {
    from++;
    let high = 0;
    let low = 0;
    for (let x = 0; x < width; x++) {
      high = (high + rows[from]) & 255;
      low = (low + rows[from + 1]) & 255;
      from += 2;
      data[at++] = (high << 8) | low;
    }
  }
  return data;
}

/** Undo the filters in place: each row is a filter's number and `stride` bytes. */
function unfilter(rows, height, stride, pixelBytes) {
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1) + 1;
    const row = rows.subarray(start, start + stride);
    const above = y === 0 ? new Uint8Array(stride) : rows.subarray(start - stride - 1, start - 1);
    FILTERS[rows[start - 1]](row, above, pixelBytes);
  }
}

const FILTERS = [
  () => {},
  (row, _, step) => {
    for (let x = step; x < row.length; x++) row[x] += row[x - step];
  },
  (row, above) => {
    for (let x = 0; x < row.length; x++) row[x] += above[x];
  },
  (row, above, step) => {
    for (let x = 0; x < step; x++) row[x] += above[x] >> 1;
    for (let x = step; x < row.length; x++) row[x] += (row[x - step] + above[x]) >> 1;
  },
  (row, above, step) => {
    for (let x = 0; x < step; x++) row[x] += above[x];
    for (let x = step; x < row.length; x++) {
      row[x] += predicted(row[x - step], above[x], above[x - step]);
    }
  },
];

/** The neighbour that is nearest to what a plane through the three would give (9.4). */
function predicted(left, up, corner) {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function values(rows, width, height, pixelBytes) {
  const data = new Uint16Array(width * height);
  let at = 0;
  for (let y = 0; y < height; y++) {
    let from = y * (width * pixelBytes + 1) + 1;
    for (let x = 0; x < width; x++, from += pixelBytes) {
      data[at++] = pixelBytes === 2 ? (rows[from] << 8) | rows[from + 1] : rows[from] * 257;
    }
  }
  return data;
}
