/**
 * The listeners for credentials, probes and metrics. Limits connections and requests, and turns every outcome into an HTTP
 * response.
 */
package dev.podidentity.agent.http;
