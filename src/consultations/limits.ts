/** Longest question answered from the bank (public contract). */
export const LONGEST_QUESTION = 500
