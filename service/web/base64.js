/** Bytes ↔ base64, as JSON and an address hold them. */

export async function toBase64(blob) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`the file cannot be read: ${reader.error.message}`));
    reader.readAsDataURL(blob);
  });
  return url.slice(url.indexOf(",") + 1);
}

/** Throws where it is no base64. */
export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: typeOf(bytes) });
}

/** By its first bytes: what was written in an address has no name. */
function typeOf(bytes) {
  const begins = (...values) => values.every((value, place) => bytes[place] === value);
  if (begins(0xff, 0xd8)) return "image/jpeg";
  if (begins(0x47, 0x49, 0x46)) return "image/gif";
  if (begins(0x52, 0x49, 0x46, 0x46)) return "image/webp";
  if (begins(0x42, 0x4d)) return "image/bmp";
  if (begins(0x49, 0x49, 0x2a) || begins(0x4d, 0x4d, 0x00)) return "image/tiff";
  return "image/png";
}
