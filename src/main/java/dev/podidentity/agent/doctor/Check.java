package dev.podidentity.agent.doctor;

import java.util.List;

/** Looks at one thing. */
interface Check {

    /** A word or two with hyphens, which stays the same over releases. */
    String name();

    /** What is seen. Blocks, for some seconds at the most. */
    List<Finding> examine();
}
