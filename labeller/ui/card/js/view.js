/** Where the image lies on the stage: the arithmetic of fit, zoom and pan, in CSS pixels. */

const MOST_SCALE = 64;
const MOST_FIT = 16; // tiny images larger than this are all blur
const STEP_MARGIN = 1.0001; // rounding must not count as zoomed

/**
 * @typedef {object} View
 * @property {number} scale CSS pixels per image pixel
 * @property {number} x left edge of the image
 * @property {number} y top edge of the image
 * @property {boolean} fitted whether it follows the stage's size
 */

/** The whole image, as large as it may, in the middle. @returns {View} */
export function fitView(stage, image) {
  const scale = Math.min(stage.width / image.width, stage.height / image.height, MOST_FIT);
  return { ...centred(stage, image, scale), fitted: true };
}

/** One image pixel on one pixel of the screen, around the stage's middle. @returns {View} */
export function actualView(stage, image, pixelRatio) {
  return { ...centred(stage, image, 1 / pixelRatio), fitted: false };
}

/** Zoom by a factor around a point that stays where it is. @returns {View} */
export function zoomView(view, stage, image, factor, x, y) {
  const fit = fitView(stage, image);
  const least = Math.min(fit.scale, 1);
  const most = Math.max(MOST_SCALE, fit.scale * 4);
  const scale = Math.min(most, Math.max(least, view.scale * factor));
  if (factor < 1 && scale <= fit.scale * STEP_MARGIN && view.scale > fit.scale) return fit;
  const ratio = scale / view.scale;
  const moved = { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio, fitted: false };
  return bounded(moved, stage, image);
}

/** Move by some pixels, never so far that the image is out of sight. @returns {View} */
export function panView(view, stage, image, dx, dy) {
  return bounded({ ...view, x: view.x + dx, y: view.y + dy, fitted: false }, stage, image);
}

/** Whether more of the image lies outside the stage than can be seen. */
export function isLarger(view, stage, image) {
  return (
    image.width * view.scale > stage.width * STEP_MARGIN ||
    image.height * view.scale > stage.height * STEP_MARGIN
  );
}

function centred(stage, image, scale) {
  return {
    scale,
    x: (stage.width - image.width * scale) / 2,
    y: (stage.height - image.height * scale) / 2,
  };
}

/** An axis that fits is centred; one that does not keeps the stage covered. */
function bounded(view, stage, image) {
  return {
    ...view,
    x: along(view.x, stage.width, image.width * view.scale),
    y: along(view.y, stage.height, image.height * view.scale),
  };
}

function along(at, room, size) {
  if (size <= room) return (room - size) / 2;
  return Math.min(0, Math.max(room - size, at));
}
