package dev.podidentity.agent.doctor;

import java.util.List;

/** Checks one thing. */
interface Check {

    /** Returns a word or two with hyphens, which remains the same across releases. */
    String name();

    /** Returns the findings. Blocks for up to a few seconds. */
    List<Finding> examine();
}
