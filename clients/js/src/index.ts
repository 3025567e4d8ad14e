// Reads live captions from a captionwire server. `new Reader({ url, feed, onchange })` is all there is to begin with.

export { Reader, type ReaderOptions, type ReaderState } from "./reader.js";
export { keyOf, Transcript, type Span, type TranscriptOptions } from "./transcript.js";
export { lowerBound } from "./sorted.js";
export type * from "./types.js";
