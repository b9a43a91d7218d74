// Everything is there: the page begins.

const relayout = new ResizeObserver(() => {
  units.forEach(one => one.resize());
  wake();
});
relayout.observe(document.body);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', wake);
showAnswer(null); // The names, before a large net has computed
done();

// For tests and the console
window.bnn = {
  net, input, measure,
  get image() {
    while (isPredicting()) predict(Infinity);
    return Array.from(image);
  },
  scores: pixels => Array.from(net.scores(Uint8Array.from(pixels))),
  get hidden() { return net.hidden.map(one => Array.from(one.step.out)); },
};
