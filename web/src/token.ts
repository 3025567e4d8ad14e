// Who reads. A token comes in the address, and leaves it at once: addresses are shared, bookmarked and kept in histories.
// It is kept for this tab alone, and sent in a header or in the address of a socket, never in that of a page.

const KEY = "captionwire.token";

/** `#token=…` never leaves the browser; `?token=…` is taken too. */
export function takeToken(): string | null {
  const [query, hash] = [new URLSearchParams(location.search), new URLSearchParams(location.hash.slice(1))];
  const token = hash.get("token") ?? query.get("token");
  if (token === null) return stored();
  query.delete("token");
  hash.delete("token");
  const rest = (params: URLSearchParams, sign: string) => (params.size ? sign + readable(params) : "");
  history.replaceState(history.state, "", location.pathname + rest(query, "?") + rest(hash, "#"));
  keep(token);
  return token;
}

/** Keeps a token that somebody typed. */
export function keep(token: string): void {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // Without storage it is asked for again.
  }
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** `:` and `/` mean nothing in a query or fragment, and people read addresses. */
export const readable = (params: URLSearchParams): string => String(params).replaceAll("%3A", ":").replaceAll("%2F", "/");

export const bearer = (token: string | null): Record<string, string> => (token ? { Authorization: `Bearer ${token}` } : {});
