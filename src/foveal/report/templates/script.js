for (const label of document.querySelectorAll(".fv-opacity")) {
  const slider = label.querySelector("input"), said = label.querySelector("output");
  const draw = () => {
    label.closest(".fv-case").style.setProperty("--alpha", slider.value / 100);
    said.textContent = `${slider.value} %`;
  };
  slider.addEventListener("input", draw);
  label.hidden = false;
  draw();
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".fv details")) folded.open = true;
});
