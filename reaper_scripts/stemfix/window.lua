-- window: the progress window with its Cancel button, drawn with what REAPER has built in.
return function ()
  local M = {}
  local WIDTH, HEIGHT, MARGIN, BAR, BUTTON = 440, 120, 16, 14, 90
  local CLOSED, ESCAPE = -1, 27
  local is_open, was_down, said = false, false, nil

  function M.open ()
    if is_open then return end
    gfx.init ("stemfix", WIDTH, HEIGHT)
    gfx.setfont (1, "Arial", 16)
    is_open, was_down = true, gfx.mouse_cap & 1 == 1
  end

  function M.close ()
    if is_open then gfx.quit () end
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

  --- Show where things stand; call it on every tick. True once the user wants to cancel.
  function M.cancelled (progress, text)
    if not is_open then return false end
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

  return M
end
