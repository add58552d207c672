/** Scrolling along while an answer grows, as long as the reader stays at the end. */
import { useEffect, useLayoutEffect, type RefObject } from "react";

/** Closer than this to the end of the page counts as being there. */
const NEAR_PX = 96;
/** Fractions of pixels. */
const AT_END_PX = 2;

/** Go to the end of what scrolls when `landmark` changes, and stay there while `content` is growing. */
export function useFollowing(content: RefObject<HTMLElement | null>, growing: boolean, landmark: string): void {
  useEffect(() => {
    const scroller = scrollerOf(content.current);
    if (scroller !== null) scrollToEnd(scroller);
  }, [content, landmark]);

  // A layout effect: it lets go before the sources under a finished answer are seen as growth.
  useLayoutEffect(() => {
    const element = content.current;
    const scroller = scrollerOf(element);
    if (element === null || scroller === null || !growing) return;
    let following = true;
    let top = scroller.scrollTop;
    const look = () => {
      // Growing below takes the end away from a reader just as well: only scrolling up means leaving it. What becomes
      // shorter scrolls up too, and is still at its end.
      const distance = distanceToEnd(scroller);
      if (scroller.scrollTop < top && distance > AT_END_PX) following = false;
      else if (distance < NEAR_PX) following = true;
      top = scroller.scrollTop;
    };
    const observer = new ResizeObserver(() => {
      if (following) scrollToEnd(scroller);
    });
    observer.observe(element);
    scroller.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      scroller.removeEventListener("scroll", look);
    };
  }, [content, growing]);
}

function scrollerOf(element: HTMLElement | null): HTMLElement | null {
  return element?.closest<HTMLElement>(".main") ?? null;
}

function distanceToEnd({ scrollHeight, clientHeight, scrollTop }: HTMLElement): number {
  return scrollHeight - clientHeight - scrollTop;
}

function scrollToEnd(scroller: HTMLElement): void {
  scroller.scrollTop = scroller.scrollHeight;
}
