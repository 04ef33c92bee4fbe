package dev.podidentity.agent.network;

import java.util.Map;

/**
 * A log entry about a change to the node or about its state.
 *
 * @param warning whether an operator should look at it
 * @param message constant for each kind of entry
 * @param fields the variable parts, in display order
 */
public record Note(boolean warning, String message, Map<String, String> fields) {}
