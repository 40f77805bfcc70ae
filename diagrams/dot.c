/* SPDX-License-Identifier: BSD-2-Clause */
/* dot.c - the changes of state as a drawing: boot's arrows solid, those of requests dashed. */
#include "diagrams/lab.h"

#define INK     "#1f2933"
#define FAINT   "#616e7c"
#define REQUEST "#8a3ffc"
#define HELD    "#b3261e"

static void print_here(FILE *out, const struct lab_current *current)
{
    (void)fprintf(out, "<br/><font point-size=\"13\" color=\"%s\"><b>▶ this device: ",
                  current->held ? HELD : INK);
    lab_print_current(out, current);
    (void)fputs("</b></font>", out);
}

static void print_node(FILE *out, enum idm_state state, const struct lab_current *current)
{
    const struct lab_look *look = lab_look_of(state);
    bool here = current && current->state == state;
    const char *line = here ? current->held ? HELD : INK : look->line;
    (void)fprintf(
        out,
        "  %s [fillcolor=\"%s\", color=\"%s\", %slabel=<<b><font point-size=\"17\">%s</font>"
        "</b><br/><font point-size=\"11\" color=\"" FAINT "\">",
        look->id, look->fill, line, here ? "penwidth=4, " : "", idm_state_name(state));
    /* One clause a line: a node is narrow. */
    for (const char *at = look->sentence; *at; at++) {
        bool ends = at[0] == ';' && at[1] == ' ';
        if (!ends)
            (void)fputc(*at, out);
        else
            (void)fputs("<br/>", out);
        at += ends;
    }
    (void)fputs("</font>", out);
    if (here)
        print_here(out, current);
    (void)fputs(">];\n", out);
}

/* A table, because lines of a plain label touch the arrow. */
#define ROWS_BEGIN "<table border=\"0\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"1\">"
#define ROWS_END   "</table>"

static void print_row(FILE *out, const char *text)
{
    (void)fprintf(out, "<tr><td width=\"8\"></td><td align=\"left\">%s</td></tr>", text);
}

static void print_edge(FILE *out, enum idm_state from, enum idm_state to, bool request)
{
    (void)fprintf(
        out, "  %s -> %s [%slabel=<" ROWS_BEGIN, lab_look_of(from)->id, lab_look_of(to)->id,
        request ? "class=request, style=dashed, color=\"" REQUEST "\", fontcolor=\"" REQUEST "\", "
                : "");
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++)
        if (lab_is_request(e) == request && lab_moves(e, from, to))
            print_row(out, idm_event_name(e));
    (void)fputs(ROWS_END ">];\n", out);
}

/* Is an earlier event drawn in the same line of the box? */
static bool printed_before(enum idm_event event, enum idm_state to)
{
    for (enum idm_event e = 0; e < event; e++)
        if (lab_is_request(e) == lab_is_request(event) &&
            lab_sources(e, to) == lab_sources(event, to))
            return true;
    return false;
}

/* A box that stands for all the states an arrow could begin in. */
static void print_hub_box(FILE *out, enum idm_state to, bool request)
{
    const char *id = lab_look_of(to)->id;
    const char *kind = request ? "request" : "boot";
    const char *ink = request ? REQUEST : INK;
    (void)fprintf(out,
                  "  to_%s_%s [shape=note, style=\"filled%s\", fillcolor=white, "
                  "margin=\"0.1,0.06\", color=\"%s\", "
                  "fontcolor=\"%s\", fontsize=11, label=<" ROWS_BEGIN,
                  id, kind, request ? ",dashed" : "", ink, ink);
    for (enum idm_event e = 0; e < IDM_EVENT_COUNT; e++) {
        lab_states sources = lab_sources(e, to);
        if (!sources || lab_is_request(e) != request || printed_before(e, to))
            continue;
        (void)fputs("<tr><td align=\"left\"><b>from ", out);
        lab_print_states(out, sources, to);
        (void)fputs("</b></td></tr>", out);
        for (enum idm_event same = e; same < IDM_EVENT_COUNT; same++)
            if (lab_is_request(same) == request && lab_sources(same, to) == sources)
                (void)fprintf(out, "<tr><td align=\"left\">· %s</td></tr>", idm_event_name(same));
    }
    (void)fprintf(out, ROWS_END ">];\n  to_%s_%s -> %s [%scolor=\"%s\"];\n", id, kind, id,
                  request ? "style=dashed, " : "", ink);
}

static void print_edges(FILE *out)
{
    for (enum idm_state to = 0; to < IDM_STATE_COUNT; to++) {
        if (lab_is_hub(to)) {
            print_hub_box(out, to, false);
            print_hub_box(out, to, true);
            continue;
        }
        for (enum idm_state from = 0; from < IDM_STATE_COUNT; from++)
            for (int request = 0; request < 2; request++)
                if (lab_joined(from, to, request))
                    print_edge(out, from, to, request);
    }
}

static void print_legend_row(FILE *out, enum idm_state state, const char *text)
{
    const struct lab_look *look = lab_look_of(state);
    (void)fprintf(out,
                  "    <tr><td border=\"1\" bgcolor=\"%s\" color=\"%s\" width=\"30\"></td>"
                  "<td align=\"left\">%s</td></tr>\n",
                  look->fill, look->line, text);
}

static void print_legend(FILE *out)
{
    (void)fputs("  legend [shape=none, style=\"\", fontsize=11, label=<\n"
                "    <table border=\"0\" cellborder=\"0\" cellspacing=\"4\" cellpadding=\"2\">\n",
                out);
    print_legend_row(out, IDM_S_blank, "no identity in use");
    print_legend_row(out, IDM_S_software, "mode software");
    print_legend_row(out, IDM_S_tpm, "mode tpm");
    print_legend_row(out, IDM_S_resetting, "factory reset");
    (void)fputs(
        "    <tr><td>──▶</td><td align=\"left\">found at boot</td></tr>\n"
        "    <tr><td><font color=\"" REQUEST "\">╌╌▶</font></td><td align=\"left\">"
        "<font color=\"" REQUEST "\">asked for: a command, or an updater's hook</font></td></tr>\n"
        "    <tr><td colspan=\"2\" align=\"left\">left out: what changes no state, and holds</td>"
        "</tr>\n    </table>>];\n",
        out);
}

int lab_print_dot(FILE *out, const struct lab_current *current)
{
    (void)fputs("// Printed by idmode-lab from fsm/table.def; ./dev diagrams writes it again.\n"
                "digraph idmode {\n"
                "  graph [rankdir=TB, nodesep=0.5, ranksep=0.7, pad=0.3, bgcolor=white, "
                "fontname=\"Helvetica,Arial,sans-serif\"];\n"
                "  node [shape=box, style=\"rounded,filled\", penwidth=1.6, margin=\"0.22,0.12\", "
                "fontname=\"Helvetica,Arial,sans-serif\", fontcolor=\"" INK "\"];\n"
                "  edge [fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, color=\"" INK
                "\", fontcolor=\"" INK "\", penwidth=1.2, arrowsize=0.8];\n",
                out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        print_node(out, s, current);
    print_edges(out);
    print_legend(out);
    (void)fputs("}\n", out);
    return 0;
}
