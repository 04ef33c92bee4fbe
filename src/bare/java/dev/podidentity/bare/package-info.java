/**
 * A native executable that only serves HTTP, as a baseline for the benchmark. Not part of the product.
 */
package dev.podidentity.bare;
