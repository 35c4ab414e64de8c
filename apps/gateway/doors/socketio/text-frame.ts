/** A text as the WebSocket frame that a server sends (RFC 6455, 5.2): final, unmasked, uncompressed. */

const FINAL_TEXT = 0x81;
const LARGEST_7_BIT = 125;
const LARGEST_16_BIT = 0xffff;

export function textFrame(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const head = size <= LARGEST_7_BIT ? 2 : size <= LARGEST_16_BIT ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + size);
  frame[0] = FINAL_TEXT;
  if (head === 2) {
    frame[1] = size;
  } else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(size, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(size), 2);
  }
  frame.write(text, head);
  return frame;
}
