package dev.podidentity.agent.network;

import java.util.Map;

/**
 * Something that was done to the node, or found on it, for its log.
 *
 * @param warning whether somebody should look at it
 * @param message always the same for the same thing
 * @param fields what differs, in the order to be shown in
 */
public record Note(boolean warning, String message, Map<String, String> fields) {}
