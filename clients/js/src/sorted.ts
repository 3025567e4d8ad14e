// A list that is always in order. What arrives is nearly always new and last, so that a plain array is the fastest there is.

interface Sortable {
  readonly sort: string;
}

/** The first place in `items` whose sort is not less than `sort`. */
export function lowerBound(items: readonly Sortable[], sort: string): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.sort < sort) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts `item` in its place, or in the place of one with the same sort. */
export function put<T extends Sortable>(items: T[], item: T): void {
  const last = items[items.length - 1];
  if (last === undefined || last.sort < item.sort) {
    items.push(item);
    return;
  }
  const at = lowerBound(items, item.sort);
  items.splice(at, items[at]!.sort === item.sort ? 1 : 0, item);
}

/** Takes `item` out, if it is there. */
export function drop<T extends Sortable>(items: T[], item: T): void {
  const at = lowerBound(items, item.sort);
  if (items[at] === item) items.splice(at, 1);
}

/** Puts many in their places at once, none of which is there yet. */
export function putAll<T extends Sortable>(items: T[], more: readonly T[]): void {
  for (const item of more) items.push(item);
  items.sort((a, b) => (a.sort < b.sort ? -1 : a.sort > b.sort ? 1 : 0));
}
