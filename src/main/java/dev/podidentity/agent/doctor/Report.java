package dev.podidentity.agent.doctor;

/** Prints the findings. */
interface Report {

    /** Called for each finding as soon as it is known. */
    void add(String check, Finding finding);

    /** Called after the last finding. */
    void end(int exitCode);
}
