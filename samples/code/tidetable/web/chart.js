// SPDX-License-Identifier: MIT
// Draws a week of tides as one line, with a mark for now. No library: it is one line and one mark.

const MARGIN = { top: 12, right: 8, bottom: 24, left: 36 };

/** Turns times and metres into pixels. */
function makeScale(points, width, height) {
  const times = points.map((point) => Date.parse(point.time));
  const levels = points.map((point) => point.metres);
  const [t0, t1] = [Math.min(...times), Math.max(...times)];
  const [low, high] = [Math.min(...levels), Math.max(...levels)];
  return {
    x: (time) => MARGIN.left + ((time - t0) / (t1 - t0)) * (width - MARGIN.left - MARGIN.right),
    y: (level) => MARGIN.top + ((high - level) / (high - low)) * (height - MARGIN.top - MARGIN.bottom),
  };
}

/** Between two turning points the tide looks like half a cosine, near enough for a picture. */
function levelBetween(before, after, time) {
  const share = (time - Date.parse(before.time)) / (Date.parse(after.time) - Date.parse(before.time));
  const weight = (1 + Math.cos(Math.PI * share)) / 2;
  return before.metres * weight + after.metres * (1 - weight);
}

export function drawTides(canvas, points, now = Date.now()) {
  const context = canvas.getContext("2d");
  const scale = makeScale(points, canvas.width, canvas.height);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.beginPath();
  for (let index = 0; index + 1 < points.length; index += 1) {
    const [before, after] = [points[index], points[index + 1]];
    const [start, end] = [Date.parse(before.time), Date.parse(after.time)];
    for (let step = 0; step <= 20; step += 1) {
      const time = start + ((end - start) * step) / 20;
      context.lineTo(scale.x(time), scale.y(levelBetween(before, after, time)));
    }
  }
  context.stroke();
  const next = points.findIndex((point) => Date.parse(point.time) > now);
  if (next > 0) {
    const level = levelBetween(points[next - 1], points[next], now);
    context.beginPath();
    context.arc(scale.x(now), scale.y(level), 4, 0, 2 * Math.PI);
    context.fill();
  }
}
