for (const control of document.querySelectorAll(".fv-opacity")) {
  const slider = control.querySelector("input"), said = control.querySelector("output");
  const draw = () => {
    control.closest(".fv-case").style.setProperty("--alpha", slider.value / 100);
    said.textContent = `${slider.value} %`;
  };
  slider.addEventListener("input", draw);
  control.hidden = false;
  draw();
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".fv details")) folded.open = true;
});
