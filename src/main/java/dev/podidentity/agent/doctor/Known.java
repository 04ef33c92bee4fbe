package dev.podidentity.agent.doctor;

import java.util.List;

/**
 * Findings from before the checks ran, such as why they cannot run.
 *
 * @param examine the findings
 */
record Known(String name, List<Finding> examine) implements Check {}
