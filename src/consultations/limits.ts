/** Longest question answered from the bank (public contract). */
export const LONGEST_QUESTION = 500
/** Longest reason, note or remark: half a page. */
export const LONGEST_REASON = 1000
/** A form of 20,000 characters is 180 kB encoded: what is too long comes back with what was typed instead of a bare 413. */
export const LARGEST_FORM = 256 * 1024
/** Open questions one is compared with, the newest: 300 compare in milliseconds (bench similar). */
export const COMPARED = 300
/** Open questions that mean the same, as they are proposed. */
export const SIMILAR_SHOWN = 3
