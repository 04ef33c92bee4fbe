package dev.podidentity.agent.doctor;

/** Shows what the checks saw. */
interface Report {

    /** Called for each finding as it comes. */
    void add(String check, Finding finding);

    /** Called after the last one. */
    void end(int exitCode);
}
