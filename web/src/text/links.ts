/** Links in answers: which ones may be followed, and where they lead. */

/** The address of a link that leads elsewhere, or null. All others are a quoted document's own and mean nothing here. */
export function safeAddress(href: string | undefined): URL | null {
  if (href === undefined || !/^(https?|mailto):/i.test(href)) return null;
  return URL.canParse(href) ? new URL(href) : null;
}

/** Where a link leads, in few words: the host, or who gets the mail. */
export function destination(address: URL): string {
  return address.protocol === "mailto:" ? decodeURIComponent(address.pathname) : address.host;
}
