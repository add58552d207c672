/** The languages that code is coloured in: the common ones of highlight.js. */
import { common, createLowlight } from "lowlight";

export const lowlight = createLowlight(common);
