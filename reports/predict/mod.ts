/**
 * Which class a network takes images for, with its page.
 *
 * @module
 */
export { type Prediction, predictionPage, type ShownImage } from "./page.ts";
export { predict, type Predicted, PredictionError, type PredictOptions } from "./predict.ts";
