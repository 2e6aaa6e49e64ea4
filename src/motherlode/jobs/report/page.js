(function () {
  "use strict";
  var holder = document.getElementById("chart");
  var source = document.getElementById("figure");
  if (!holder || !source || !window.Plotly) return;
  var figure = JSON.parse(source.textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }
  function draw() {
    var layout = Object.assign({}, figure.layout, {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 13 },
      margin: { t: 32, r: 16, b: 48, l: 56 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent") },
      hoverlabel: { font: { family: "system-ui, sans-serif" } },
      colorway: [colour("--accent"), colour("--used"), colour("--filtered"), colour("--bad"),
        "#8250df", "#1b7c83", "#bf3989", "#6e7781"]
    });
    ["xaxis", "yaxis"].forEach(function (axis) {
      layout[axis] = Object.assign({}, figure.layout[axis], {
        gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line")
      });
    });
    window.Plotly.react(holder, figure.data, layout,
      {
        responsive: true, displaylogo: false,
        modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]
      });
  }
  draw();
  dark.addEventListener("change", draw);
})();
