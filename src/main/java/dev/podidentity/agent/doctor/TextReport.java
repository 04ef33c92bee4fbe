package dev.podidentity.agent.doctor;

import java.io.PrintWriter;

/** Prints one line for each finding as soon as it is known, with its details on indented lines below. */
final class TextReport implements Report {

    private static final int WIDEST_STATUS = 4;
    private static final int WIDEST_NAME = 18;

    private final PrintWriter out;

    TextReport(PrintWriter out) {
        this.out = out;
    }

    @Override
    public void add(String check, Finding finding) {
        out.println(padded(finding.status().label(), WIDEST_STATUS) + "  " + padded(check, WIDEST_NAME) + "  " + plain(finding.seen())
                + finding.remedy().map(remedy -> ". " + plain(remedy)).orElse(""));
        finding.details().forEach(line -> out.println("      " + plain(line)));
        out.flush();
    }

    @Override
    public void end(int exitCode) {
        out.flush();
    }

    private static String padded(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
    }

    /** Object names and server responses come from outside, and must not control a terminal. */
    private static String plain(String text) {
        return text.replaceAll("\\p{Cntrl}", "?");
    }
}
