/**
 * The listeners: requests for credentials, probes and metrics.
 * Bounds connections and requests, and turns every outcome into an HTTP answer.
 */
package dev.podidentity.agent.http;
