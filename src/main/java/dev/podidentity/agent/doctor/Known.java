package dev.podidentity.agent.doctor;

import java.util.List;

/**
 * What was seen before the checks ran, such as why they cannot.
 *
 * @param examine what was seen
 */
record Known(String name, List<Finding> examine) implements Check {}
