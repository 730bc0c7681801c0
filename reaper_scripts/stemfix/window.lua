-- window: the progress window with its Cancel button: ReaImGui's where that is installed, else drawn with what
-- REAPER has built in.
return function (lib)
  local M = {}
  local imgui = lib.use ("imgui_window")
  local WIDTH, HEIGHT, MARGIN, BAR, BUTTON = 440, 120, 16, 14, 90
  local CLOSED, ESCAPE = -1, 27
  local is_open, was_down, said = false, false, nil
  local shown, wants_to_cancel = { progress = 0, text = "" }, false
  local with_imgui = false

  local function open_plain ()
    gfx.init ("stemfix", WIDTH, HEIGHT)
    gfx.setfont (1, "Arial", 16)
    is_open, was_down = true, gfx.mouse_cap & 1 == 1
  end

  function M.close ()
    lib.on_tick = nil
    if is_open and not with_imgui then gfx.quit () end
    is_open = false
  end

  local function draw (progress, text, over)
    gfx.set (0.16, 0.16, 0.17, 1)
    gfx.rect (0, 0, gfx.w, gfx.h, true)
    gfx.set (0.92, 0.92, 0.92, 1)
    gfx.x, gfx.y = MARGIN, MARGIN
    gfx.drawstr (text)
    local width = gfx.w - 2 * MARGIN
    gfx.set (0.3, 0.3, 0.31, 1)
    gfx.rect (MARGIN, 46, width, BAR, true)
    gfx.set (0.27, 0.65, 0.63, 1)
    gfx.rect (MARGIN, 46, math.floor (width * progress + 0.5), BAR, true)
    gfx.set (over and 0.45 or 0.36, 0.36, 0.37, 1)
    gfx.rect (gfx.w - MARGIN - BUTTON, 74, BUTTON, 28, true)
    gfx.set (0.92, 0.92, 0.92, 1)
    gfx.x, gfx.y = gfx.w - MARGIN - BUTTON + 22, 80
    gfx.drawstr ("Cancel")
    gfx.x, gfx.y = MARGIN, 80
    gfx.drawstr ("Close this window to go on without it.")
    gfx.update ()
  end

  --- Draw with REAPER's own means. True where the user cancels.
  local function tick_plain (progress, text)
    local key = gfx.getchar ()
    if key == CLOSED then
      M.close ()
      return false
    end
    local x, y = gfx.mouse_x - (gfx.w - MARGIN - BUTTON), gfx.mouse_y - 74
    local over = x >= 0 and x < BUTTON and y >= 0 and y < 28
    local down = gfx.mouse_cap & 1 == 1
    local clicked = over and down and not was_down
    was_down = down
    local now = ("%d %s %s"):format (math.floor (progress * 400), text, tostring (over))
    if now ~= said then draw (progress, text, over) end
    said = now
    return key == ESCAPE or clicked
  end

  local function tick ()
    local cancelled
    if with_imgui then
      local stays, outcome = imgui.tick (shown.progress, shown.text)
      cancelled = outcome == "cancel"
      if outcome == "closed" then M.close () end
      if not stays then
        -- It is there, but not as expected: do without it.
        with_imgui = false
        open_plain ()
      end
    else
      cancelled = tick_plain (shown.progress, shown.text)
    end
    wants_to_cancel = wants_to_cancel or cancelled
  end

  --- Open the window, which then draws itself on every tick.
  function M.open ()
    if is_open then return end
    with_imgui = imgui.open ()
    if with_imgui then is_open = true else open_plain () end
    lib.on_tick = tick
  end

  --- Say where things stand. True once where the user wants to cancel.
  function M.cancelled (progress, text)
    shown.progress, shown.text = progress, text
    local cancelled = wants_to_cancel
    wants_to_cancel = false
    return cancelled
  end

  return M
end
