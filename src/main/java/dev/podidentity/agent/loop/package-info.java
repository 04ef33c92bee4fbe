/**
 * Tools for state that is confined to one event loop.
 * Timers, single flights, fair queues, rate limits, backoff, and bounded maps.
 */
package dev.podidentity.agent.loop;
