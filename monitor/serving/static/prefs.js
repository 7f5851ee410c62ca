// What this browser remembers for its user. Storage may be forbidden; then it is forgotten with the page.

const held = new Map();

export function recall(key, otherwise) {
  try {
    return localStorage.getItem(`linewatch.${key}`) ?? otherwise;
  } catch {
    return held.get(key) ?? otherwise;
  }
}

export function remember(key, value) {
  held.set(key, value);
  try {
    localStorage.setItem(`linewatch.${key}`, value);
  } catch {
    // The value lasts as long as the page.
  }
}
