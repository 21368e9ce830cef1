// Decodes pictures beside the page, which stays awake meanwhile.

import {decodeGrey} from "./png.js";
import {pyramid} from "./pyramid.js";

self.addEventListener("message", async ({data: {id, image, maps}}) => {
  try {
    const levels = image ? pyramid(await decodeGrey(image)) : [];
    const decoded = await Promise.all(maps.map(decodeGrey));
    const buffers = [...levels, ...decoded].map((one) => one.data.buffer);
    self.postMessage({id, levels, maps: decoded}, buffers);
  } catch (error) {
    self.postMessage({id, fault: error.message});
  }
});
