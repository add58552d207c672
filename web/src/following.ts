/** Scrolling along while an answer grows, as long as the reader stays at the end. */
import { useEffect, useLayoutEffect, type RefObject } from "react";

/** Closer than this to the end of the page counts as being there. */
const NEAR_PX = 96;

/** Go to the end of the page when `landmark` changes, and stay there while `content` is growing. */
export function useFollowing(content: RefObject<HTMLElement | null>, growing: boolean, landmark: string): void {
  useEffect(() => scrollToEnd(), [landmark]);

  // A layout effect: it lets go before the sources under a finished answer are seen as growth.
  useLayoutEffect(() => {
    const element = content.current;
    if (element === null || !growing) return;
    let following = true;
    let top = window.scrollY;
    const look = () => {
      // Growing below takes the end away from a reader just as well: only scrolling up means leaving it.
      if (distanceToEnd() < NEAR_PX) following = true;
      else if (window.scrollY < top) following = false;
      top = window.scrollY;
    };
    const observer = new ResizeObserver(() => {
      if (following) scrollToEnd();
    });
    observer.observe(element);
    window.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      window.removeEventListener("scroll", look);
    };
  }, [content, growing]);
}

function distanceToEnd(): number {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
  return scrollHeight - clientHeight - scrollTop;
}

function scrollToEnd(): void {
  window.scrollTo(0, document.documentElement.scrollHeight);
}
