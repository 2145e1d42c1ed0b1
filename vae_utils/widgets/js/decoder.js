// How a decoder runs in a page.
//
// A decoder is a list of layers. A layer multiplies its inputs by weights, adds a bias, and applies its activation.
// The weights come quantized, to save room: each row of them (one row for each output) has a scale, and
// weight = quantized * scale.

// The activations: the functions of the same names in PyTorch.
const ACTIVATIONS = {
  none: (x) => x,
  relu: (x) => Math.max(x, 0),
  elu: (x) => (x > 0 ? x : Math.exp(x) - 1),
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(0.7978845608 * (x + 0.044715 * x ** 3))),
};

/**
 * The bytes behind a "data:...;base64,..." address.
 * @param {string} address
 */
export function bytesOf(address) {
  const text = atob(address.slice(address.indexOf(",") + 1));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

export const floats = (address) => new Float32Array(bytesOf(address));

/**
 * A layer ready to run: its quantized weights are multiplied out once, here.
 * @typedef {{inputs: number, outputs: number, bits: number, weights: string, scales: string, bias: string, activation: keyof typeof ACTIVATIONS}} Packed
 * @param {Packed} packed
 */
function openLayer(packed) {
  const quantized =
    packed.bits === 8 ? new Int8Array(bytesOf(packed.weights)) : new Int16Array(bytesOf(packed.weights));
  const scales = floats(packed.scales);
  const weights = new Float32Array(quantized.length);
  for (let i = 0; i < quantized.length; i++) weights[i] = quantized[i] * scales[Math.floor(i / packed.inputs)];
  return {
    weights,
    bias: floats(packed.bias),
    activation: ACTIVATIONS[packed.activation],
    output: new Float32Array(packed.outputs),
  };
}

// What the whole trick comes down to: for each output, a sum of inputs times weights, and the activation.
function runLayer({ weights, bias, activation, output }, input) {
  let w = 0;
  for (let row = 0; row < output.length; row++) {
    let sum = bias[row];
    for (let i = 0; i < input.length; i++) sum += weights[w++] * input[i];
    output[row] = activation(sum);
  }
  return output;
}

/**
 * decode(z): the picture at the code z, as numbers from 0 to 1, color after color, row after row.
 * The array it returns is used again by the next call.
 * @param {{layers: Packed[]}} packed
 * @returns {(z: number[]) => Float32Array}
 */
export function makeDecoder(packed) {
  const layers = packed.layers.map(openLayer);
  return (z) => layers.reduce((values, layer) => runLayer(layer, values), Float32Array.from(z));
}

/**
 * Draw a picture (numbers from 0 to 1) on a canvas, with its upper left corner at (left, top).
 * Returns false, and draws nothing, where a number is not a number: a training run that went wrong.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} pixels
 * @param {number[]} shape colors, height, width
 */
export function paint(canvas, pixels, [colors, height, width], left = 0, top = 0) {
  const size = height * width;
  const image = new ImageData(width, height);
  for (let i = 0; i < size; i++) {
    for (let color = 0; color < 3; color++) {
      const value = pixels[i + (colors === 3 ? color * size : 0)];
      if (!Number.isFinite(value)) return false;
      image.data[4 * i + color] = 255 * value;
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, left, top);
  return true;
}
