// SPDX-License-Identifier: Apache-2.0
// Draws what the server counted: an element with `data-chart` holds the figures as JSON.
// Every chart has a table beside it; nothing is only here.
"use strict";

function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function palette() {
  const names = ["text", "muted", "line", "panel", "accent", "good", "warn", "bad", "info", "hover", "raised", "accent-fill"];
  return Object.fromEntries(names.map((name) => [name, colour(name)]));
}

function frame(colours) {
  const text = { color: colours.muted, fontSize: 11 };
  return {
    animation: false,
    textStyle: { fontFamily: "system-ui, sans-serif", color: colours.muted },
    grid: { left: 8, right: 12, top: 38, bottom: 4, containLabel: true },
    legend: { top: 0, left: "center", textStyle: text, itemWidth: 14, itemHeight: 8, icon: "roundRect" },
    tooltip: {
      renderMode: "richText", trigger: "axis", confine: true, backgroundColor: colours.panel,
      borderColor: colours.line, textStyle: { color: colours.text, fontSize: 12 },
    },
    axis: {
      axisLabel: text, axisTick: { show: false }, nameTextStyle: text,
      axisLine: { lineStyle: { color: colours.line } }, splitLine: { lineStyle: { color: colours.line } },
    },
  };
}

function lines(figures, colours) {
  const { axis, ...option } = frame(colours);
  const many = figures.series.length > 1;
  return {
    ...option,
    legend: { ...option.legend, show: many },
    xAxis: { type: "category", data: figures.labels, ...axis, axisLabel: { ...axis.axisLabel, interval: figures.labels.length > 8 ? "auto" : 0 }, splitLine: { show: false } },
    yAxis: figures.axes.map((name, index) => ({
      type: "value", name, ...axis, min: figures.floor?.[index], max: figures.ceiling?.[index], nameGap: 10,
      nameTextStyle: { ...axis.nameTextStyle, align: index ? "right" : "left" },
      splitLine: { ...axis.splitLine, show: index === 0 },
    })),
    series: figures.series.map((one) => ({
      name: one.name, type: one.bars ? "bar" : "line", yAxisIndex: one.axis ?? 0, data: one.values,
      showSymbol: one.values.length < 40, symbolSize: 5, barMaxWidth: one.values.length > 12 ? 14 : 40, connectNulls: false,
      lineStyle: { width: 1.8, type: one.dashed ? "dashed" : "solid" },
      itemStyle: { color: colours[one.colour], opacity: one.bars ? 0.55 : 1, borderRadius: one.bars ? [2, 2, 0, 0] : 0 },
    })),
  };
}

function heat(figures, colours) {
  const { axis, ...option } = frame(colours);
  const longest = Math.max(...figures.rows.map((name) => name.length), 2);
  const cells = figures.cells.map(([x, y, value, text, label]) => ({ value: [x, y, value], text, name: label }));
  return {
    ...option,
    legend: { show: false },
    grid: { left: 16 + 6.2 * longest, right: 12, containLabel: false, top: figures.down ? 24 : 8, bottom: 72 },
    tooltip: { ...option.tooltip, trigger: "item", formatter: (cell) => cell.data.text },
    xAxis: { type: "category", data: figures.columns, name: figures.across, nameLocation: "middle", nameGap: 22, ...axis, splitLine: { show: false } },
    yAxis: { type: "category", data: figures.rows, name: figures.down, nameLocation: "start", nameGap: 8, inverse: true, ...axis, splitLine: { show: false } },
    visualMap: {
      type: "piecewise", orient: "horizontal", left: "center", bottom: 0, itemWidth: 14, itemHeight: 10, dimension: 2,
      textStyle: { color: colours.muted, fontSize: 11 },
      pieces: figures.pieces.map((piece) => ({ ...piece, color: mix(colours, piece.shade) })),
    },
    series: [{
      type: "heatmap", data: cells, itemStyle: { borderColor: colours.panel, borderWidth: 1 },
      label: { show: Boolean(figures.numbers), formatter: (cell) => cell.data.name, color: colours.text, fontSize: 11 },
    }],
  };
}

function intervals(figures, colours) {
  const { axis, ...option } = frame(colours);
  const inks = ["accent", "warn", "good", "info", "bad", "muted"];
  const many = figures.series.length;
  return {
    ...option,
    tooltip: { ...option.tooltip, trigger: "item", formatter: (dot) => dot.data.text },
    xAxis: { type: "category", data: figures.labels, ...axis, axisLabel: { ...axis.axisLabel, interval: 0 }, splitLine: { show: false } },
    yAxis: { type: "value", name: figures.axis, scale: true, ...axis, nameGap: 10, nameTextStyle: { ...axis.nameTextStyle, align: "left" } },
    series: figures.series.map((one, index) => ({
      name: one.name, type: "custom", data: one.dots, encode: { x: 0, y: [1, 2, 3] },
      itemStyle: { color: colours[inks[index % inks.length]] }, renderItem: whisker(index, many),
    })),
  };
}

function whisker(index, many) {
  return (_, api) => {
    const [across, middle] = api.coord([api.value(0), api.value(1)]);
    const [low, high] = [2, 3].map((end) => api.coord([api.value(0), api.value(end)])[1]);
    const x = across + (index - (many - 1) / 2) * Math.min(api.size([1, 0])[0] / (many + 1), 32);
    const stroke = { stroke: api.visual("color"), lineWidth: 1.8 };
    const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: stroke });
    return {
      type: "group",
      children: [
        line(x, low, x, high), line(x - 5, low, x + 5, low), line(x - 5, high, x + 5, high),
        { type: "circle", shape: { cx: x, cy: middle, r: 4 }, style: { fill: api.visual("color") } },
      ],
    };
  };
}

function mix(colours, [name, share]) {
  const [ink, paper] = [colours[name], colours.panel].map((text) => text.match(/[\d.]+/g).map(Number));
  return `rgb(${[0, 1, 2].map((i) => Math.round(ink[i] * share + paper[i] * (1 - share))).join(",")})`;
}

const KINDS = { lines, heat, intervals };

function draw(place) {
  const figures = JSON.parse(place.dataset.chart);
  const chart = echarts.getInstanceByDom(place) ?? echarts.init(place, null, { renderer: "canvas" });
  chart.setOption(KINDS[figures.kind](figures, palette()), true);
}

function drawAll() {
  document.querySelectorAll("[data-chart]").forEach(draw);
}

window.addEventListener("resize", () => {
  document.querySelectorAll("[data-chart]").forEach((place) => echarts.getInstanceByDom(place)?.resize());
});
document.addEventListener("theme", drawAll);
document.addEventListener("htmx:after:swap", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
