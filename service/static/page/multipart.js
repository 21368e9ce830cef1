// An answer of several forms, multipart/form-data (RFC 7578), taken apart where it lies in memory. What
// the browser itself would make of it are Blobs, which it lays on the disk: pictures of patients.

const encoder = new TextEncoder();
const HEAD_END = encoder.encode("\r\n\r\n");

/**
 * Return the parts by their names, each a view into `bytes`; none where it is no such answer, or one
 * that is cut short.
 */
export function partsOf(bytes, contentType) {
  const [, boundary] = /^multipart\/form-data;.*boundary="?([^";]+)/i.exec(contentType) ?? [];
  const parts = {};
  if (boundary === undefined) return parts;
  const mark = encoder.encode(`\r\n--${boundary}`);
  // Nothing stands before the first boundary, not even the end of a line.
  for (let at = mark.length - 2; ;) {
    const headEnd = find(bytes, HEAD_END, at);
    const end = find(bytes, mark, at);
    if (headEnd < 0 || end < headEnd) return parts;
    const head = new TextDecoder().decode(bytes.subarray(at, headEnd));
    const [, name] = / name="([^"]*)"/i.exec(head) ?? [];
    if (name) parts[name] = bytes.subarray(headEnd + HEAD_END.length, end);
    at = end + mark.length;
  }
}

/** Where `wanted` begins at or behind a place; -1 for nowhere. */
function find(bytes, wanted, from) {
  for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
