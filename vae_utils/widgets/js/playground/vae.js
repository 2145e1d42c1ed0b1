// The numbers of the playground: a small variational autoencoder, its gradients, and Adam.
//
// No page is touched here, so that the same code runs in a worker. The network is vae_utils.models.VAE with one hidden
// layer on each side, its loss is vae_utils.training.vae_loss, and the parameters carry the names and the layout that
// PyTorch gives them: a weight is (outputs, inputs), row after row. All numbers are in double precision.

export const LATENTS = 2;

// ---- Products of matrices, in blocks of 2 x 4 so that each number that is read is used more than once ----------
// Rows come in pairs and outputs in fours: `VAE` sees to that.

/** out[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i]. x: (rows, n), weight: (m, n), out: (rows, m). */
function layer(out, x, weight, bias, rows, n, m) {
  for (let r = 0; r < rows; r += 2) {
    const x0 = r * n,
      x1 = x0 + n;
    for (let o = 0; o < m; o += 4) {
      const w0 = o * n,
        w1 = w0 + n,
        w2 = w1 + n,
        w3 = w2 + n;
      let a0 = bias[o],
        a1 = bias[o + 1],
        a2 = bias[o + 2],
        a3 = bias[o + 3];
      let b0 = a0,
        b1 = a1,
        b2 = a2,
        b3 = a3;
      for (let i = 0; i < n; i++) {
        const a = x[x0 + i],
          b = x[x1 + i];
        const u0 = weight[w0 + i],
          u1 = weight[w1 + i],
          u2 = weight[w2 + i],
          u3 = weight[w3 + i];
        a0 += a * u0;
        a1 += a * u1;
        a2 += a * u2;
        a3 += a * u3;
        b0 += b * u0;
        b1 += b * u1;
        b2 += b * u2;
        b3 += b * u3;
      }
      const k = r * m + o,
        l = k + m;
      out[k] = a0;
      out[k + 1] = a1;
      out[k + 2] = a2;
      out[k + 3] = a3;
      out[l] = b0;
      out[l + 1] = b1;
      out[l + 2] = b2;
      out[l + 3] = b3;
    }
  }
}

/** out[r, c] += sum over k of a(r, k) * b[k, c], where a(r, k) = a[r * aRow + k * aInner]. out: (rows, columns). */
function addProduct(out, a, aRow, aInner, b, rows, inner, columns) {
  for (let r = 0; r < rows; r += 2) {
    const o0 = r * columns,
      o1 = o0 + columns;
    for (let k = 0; k < inner; k += 4) {
      const p = r * aRow + k * aInner,
        q = p + aRow;
      const p0 = a[p],
        p1 = a[p + aInner],
        p2 = a[p + 2 * aInner],
        p3 = a[p + 3 * aInner];
      const q0 = a[q],
        q1 = a[q + aInner],
        q2 = a[q + 2 * aInner],
        q3 = a[q + 3 * aInner];
      const k0 = k * columns,
        k1 = k0 + columns,
        k2 = k1 + columns,
        k3 = k2 + columns;
      for (let c = 0; c < columns; c++) {
        const u0 = b[k0 + c],
          u1 = b[k1 + c],
          u2 = b[k2 + c],
          u3 = b[k3 + c];
        out[o0 + c] += p0 * u0 + p1 * u1 + p2 * u2 + p3 * u3;
        out[o1 + c] += q0 * u0 + q1 * u1 + q2 * u2 + q3 * u3;
      }
    }
  }
}

/** out[c] += sum over r of g[r, c]: the gradient of a bias. */
function addRows(out, g, rows, columns) {
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c] += g[r * columns + c];
}

function elu(x, n) {
  for (let i = 0; i < n; i++) if (x[i] < 0) x[i] = Math.exp(x[i]) - 1;
}

/** From the gradient at an ELU's output to the one at its input, in place; y is the output. */
function eluBackward(g, y, n) {
  for (let i = 0; i < n; i++) if (y[i] < 0) g[i] *= y[i] + 1;
}

// ---- The model ----------------------------------------------------------------------------------------------------

// What each choice does to the loss. nll and kl are sums over pixel values and over the numbers of the code; the
// batch is always averaged.
//   noise "on":   z = mu + sigma * epsilon, the reparameterization trick
//         "cut":  the same z, but no gradient passes through it to the encoder
//         "off":  z = mu, and the KL stays in the loss
//         "none": z = mu and no KL: an autoencoder
//   averaged "none", "pixels" (the nll), "code" (the KL), "both": a mean where a sum belongs
export const NOISES = ["on", "cut", "off", "none"];
export const AVERAGED = ["none", "pixels", "code", "both"];

/** The factors before nll and KL in the loss that these settings write. */
export function weights(settings, pixels) {
  const mean = settings.averaged;
  return {
    nll: mean === "pixels" || mean === "both" ? 1 / pixels : 1,
    kl: settings.noise === "none" ? 0 : settings.beta * (mean === "code" || mean === "both" ? 1 / LATENTS : 1),
  };
}

/** pixels: values in a picture, a multiple of 4; width: units in each hidden layer, a multiple of 4. */
export class VAE {
  constructor(pixels, width, sigma, batch = 64) {
    if (pixels % 4 || width % 4 || batch % 4) throw new RangeError("pixels, width and batch must be multiples of 4");
    this.pixels = pixels;
    this.width = width;
    this.sigma = sigma;
    this.batch = batch;
    this.shapes = {
      "encoder.0.weight": [width, pixels],
      "encoder.0.bias": [width],
      "encoder.2.weight": [2 * LATENTS, width],
      "encoder.2.bias": [2 * LATENTS],
      "decoder.0.weight": [width, LATENTS],
      "decoder.0.bias": [width],
      "decoder.2.weight": [pixels, width],
      "decoder.2.bias": [pixels],
    };
    const sizes = Object.values(this.shapes).map((shape) => shape.reduce((a, b) => a * b));
    const total = sizes.reduce((a, b) => a + b);
    this.theta = new Float64Array(total); // all parameters in one row
    this.gradient = new Float64Array(total);
    this.weight = {}; // name -> the parameter's part of theta
    this.slope = {}; // name -> the same part of the gradient
    let start = 0;
    Object.keys(this.shapes).forEach((name, i) => {
      this.weight[name] = this.theta.subarray(start, start + sizes[i]);
      this.slope[name] = this.gradient.subarray(start, start + sizes[i]);
      start += sizes[i];
    });
    const room = (columns) => new Float64Array(batch * columns);
    this.hidden = room(width); // what each layer gives for a batch
    this.head = room(2 * LATENTS); // mu1, mu2, logvar1, logvar2
    this.z = room(LATENTS);
    this.drawn = room(width);
    this.mean = room(pixels);
    this.toMean = room(pixels); // gradients at the same places
    this.toDrawn = room(width);
    this.toZ = room(LATENTS);
    this.toHead = room(2 * LATENTS);
    this.toHidden = room(width);
  }

  /** PyTorch's start for linear layers: uniform within 1 / sqrt(inputs). */
  randomize(random) {
    for (const name of Object.keys(this.shapes)) {
      const inputs = this.shapes[name.replace("bias", "weight")][1];
      const reach = 1 / Math.sqrt(inputs),
        part = this.weight[name];
      for (let i = 0; i < part.length; i++) part[i] = (2 * random.uniform() - 1) * reach;
    }
  }

  /** What vae_utils.training.start_at_mean does: pictures start at the mean picture, codes in the middle. */
  startAtMean(mean) {
    const { width, pixels, weight } = this;
    for (let p = 0; p < pixels; p++) {
      const kept = Math.min(Math.max(mean[p], 0.01), 0.99);
      weight["decoder.2.bias"][p] = Math.log(kept / (1 - kept));
    }
    const last = weight["decoder.2.weight"],
      first = weight["encoder.0.weight"];
    for (let i = 0; i < last.length; i++) last[i] *= 0.3;
    for (let h = 0; h < width; h++) {
      let sum = 0;
      for (let p = 0; p < pixels; p++) sum += first[h * pixels + p] * mean[p];
      weight["encoder.0.bias"][h] = -sum;
    }
    weight["encoder.2.weight"].fill(0, LATENTS * width);
    weight["encoder.2.bias"].fill(-2, LATENTS);
  }

  /** mu and logvar of each picture x (rows, pixels), into this.head. */
  encode(x, rows = this.batch) {
    const { pixels, width, weight } = this;
    layer(this.hidden, x, weight["encoder.0.weight"], weight["encoder.0.bias"], rows, pixels, width);
    elu(this.hidden, rows * width);
    layer(this.head, this.hidden, weight["encoder.2.weight"], weight["encoder.2.bias"], rows, width, 2 * LATENTS);
    return this.head;
  }

  /** The mean picture of p(x|z) for each code z (rows, 2), into this.mean, in [0, 1]. */
  decode(z, rows = this.batch) {
    const { pixels, width, weight, mean } = this;
    layer(this.drawn, z, weight["decoder.0.weight"], weight["decoder.0.bias"], rows, LATENTS, width);
    elu(this.drawn, rows * width);
    layer(mean, this.drawn, weight["decoder.2.weight"], weight["decoder.2.bias"], rows, width, pixels);
    for (let i = 0; i < rows * pixels; i++) mean[i] = 1 / (1 + Math.exp(-mean[i]));
    return mean;
  }

  /** What the nll would be if every pixel came back exactly, in nats. */
  get floor() {
    return this.pixels * Math.log(this.sigma * Math.sqrt(2 * Math.PI));
  }

  /** The nll of a batch x (batch, pixels) at the mean pictures that were decoded last, in nats. */
  nll(x) {
    let squares = 0;
    for (let i = 0; i < x.length; i++) squares += (this.mean[i] - x[i]) ** 2;
    return squares / (2 * this.sigma ** 2 * this.batch) + this.floor;
  }

  /**
   * The loss of a batch x (batch, pixels) with the noise epsilon (batch, 2), averaged over the batch:
   * {loss: as the settings write it, nll and kl: [for each number of the code], as sums, in nats}.
   */
  loss(x, epsilon, settings) {
    const { batch, pixels, head, z } = this;
    this.encode(x);
    const noisy = settings.noise === "on" || settings.noise === "cut";
    const kl = [0, 0];
    for (let b = 0; b < batch; b++) {
      for (let l = 0; l < LATENTS; l++) {
        const mu = head[b * 2 * LATENTS + l],
          logvar = head[b * 2 * LATENTS + LATENTS + l];
        z[b * LATENTS + l] = noisy ? mu + Math.exp(0.5 * logvar) * epsilon[b * LATENTS + l] : mu;
        kl[l] += (0.5 * (mu * mu + Math.exp(logvar) - 1 - logvar)) / batch;
      }
    }
    this.decode(z);
    const nll = this.nll(x);
    const factor = weights(settings, pixels);
    return { loss: factor.nll * nll + (factor.kl && factor.kl * (kl[0] + kl[1])), nll, kl };
  }

  /** The same, and the loss's gradient with respect to every parameter into this.gradient. */
  lossAndGradient(x, epsilon, settings) {
    const terms = this.loss(x, epsilon, settings);
    const { batch, pixels, width, weight, slope, head, mean, toMean, toDrawn, toZ, toHead, toHidden } = this;
    const factor = weights(settings, pixels);
    this.gradient.fill(0);

    // through the picture: nll, then the sigmoid
    const scale = factor.nll / (batch * this.sigma ** 2);
    for (let i = 0; i < batch * pixels; i++) toMean[i] = scale * (mean[i] - x[i]) * mean[i] * (1 - mean[i]);

    // through the decoder
    addProduct(slope["decoder.2.weight"], toMean, 1, pixels, this.drawn, pixels, batch, width);
    addRows(slope["decoder.2.bias"], toMean, batch, pixels);
    toDrawn.fill(0);
    addProduct(toDrawn, toMean, pixels, 1, weight["decoder.2.weight"], batch, pixels, width);
    eluBackward(toDrawn, this.drawn, batch * width);
    addProduct(slope["decoder.0.weight"], toDrawn, 1, width, this.z, width, batch, LATENTS);
    addRows(slope["decoder.0.bias"], toDrawn, batch, width);
    toZ.fill(0);
    addProduct(toZ, toDrawn, width, 1, weight["decoder.0.weight"], batch, width, LATENTS);

    // through the code: z = mu + sigma * epsilon (or mu, or cut off), and the KL
    for (let b = 0; b < batch; b++) {
      for (let l = 0; l < LATENTS; l++) {
        const atMu = b * 2 * LATENTS + l,
          atLogvar = atMu + LATENTS,
          k = b * LATENTS + l;
        const through = settings.noise === "cut" ? 0 : toZ[k];
        const sigma = Math.exp(0.5 * head[atLogvar]);
        toHead[atMu] = through;
        toHead[atLogvar] = settings.noise === "on" ? through * epsilon[k] * 0.5 * sigma : 0;
        if (factor.kl > 0) {
          toHead[atMu] += (factor.kl * head[atMu]) / batch;
          toHead[atLogvar] += (factor.kl * 0.5 * (sigma * sigma - 1)) / batch;
        }
      }
    }

    // through the encoder
    addProduct(slope["encoder.2.weight"], toHead, 1, 2 * LATENTS, this.hidden, 2 * LATENTS, batch, width);
    addRows(slope["encoder.2.bias"], toHead, batch, 2 * LATENTS);
    toHidden.fill(0);
    addProduct(toHidden, toHead, 2 * LATENTS, 1, weight["encoder.2.weight"], batch, 2 * LATENTS, width);
    eluBackward(toHidden, this.hidden, batch * width);
    addProduct(slope["encoder.0.weight"], toHidden, 1, width, x, width, batch, pixels);
    addRows(slope["encoder.0.bias"], toHidden, batch, width);
    return terms;
  }
}

/** Adam (Kingma & Ba, 2015), as torch.optim.Adam(betas=(0.9, 0.98)), which vae_utils.training.fit uses. */
export class Adam {
  constructor(size) {
    this.first = new Float64Array(size);
    this.second = new Float64Array(size);
    this.steps = 0;
  }

  step(theta, gradient, lr) {
    const { first, second } = this,
      keep1 = 0.9,
      keep2 = 0.98;
    this.steps += 1;
    const size = lr / (1 - keep1 ** this.steps),
      root = Math.sqrt(1 - keep2 ** this.steps);
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i];
      first[i] += (1 - keep1) * (g - first[i]);
      second[i] += (1 - keep2) * (g * g - second[i]);
      theta[i] -= (size * first[i]) / (Math.sqrt(second[i]) / root + 1e-8);
    }
  }
}
